"""Programs: `policy(PolicyConfig(...))` trains, `load_policy(run)` gives what was learnt."""

import contextlib
import io

with contextlib.redirect_stdout(io.StringIO()):  # MJX prints a line for each optional package it misses
    from train.rl.config import PolicyConfig
    from train.rl.policies import Run, evaluate, load_policy, policy

__all__ = ["PolicyConfig", "Run", "evaluate", "load_policy", "policy"]
