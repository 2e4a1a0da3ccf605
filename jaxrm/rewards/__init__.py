"""One file per reward: weights, state and pure functions, with a small object in front for people."""

from jaxrm.rewards.clip import ClipReward

__all__ = ["ClipReward"]
