"""One file per reward: weights, state and pure functions, with a small object in front for people."""

from jaxrm.rewards.clip import ClipReward
from jaxrm.rewards.likelihood_reward import LikelihoodReward

__all__ = ["ClipReward", "LikelihoodReward"]
