"""jaxrm: say what you want in a sentence, get a reward for it."""

from jaxrm.rewards.clip import ClipReward
from jaxrm.weights import load_clip, save

__all__ = ["ClipReward", "load_clip", "save"]
