"""jaxrm: say what you want in a sentence, get a reward for it."""

from jaxrm import metrics
from jaxrm.rewards.clip import ClipReward
from jaxrm.rewards.likelihood_reward import LikelihoodReward
from jaxrm.weights import load_clip, load_decoder, load_interface, load_tower, save, save_interface

__all__ = [
    "ClipReward",
    "LikelihoodReward",
    "load_clip",
    "load_decoder",
    "load_interface",
    "load_tower",
    "metrics",
    "save",
    "save_interface",
]
