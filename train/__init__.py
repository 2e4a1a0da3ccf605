"""Programs: `policy(PolicyConfig(...))` trains, `load_policy(run)` gives what was learnt."""

from train.config import PolicyConfig
from train.policies import Run, evaluate, load_policy, policy

__all__ = ["PolicyConfig", "Run", "evaluate", "load_policy", "policy"]
