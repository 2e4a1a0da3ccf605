"""The settings of the small decoder's training."""

from dataclasses import dataclass
from pathlib import Path

from train.lm.report import BLOCK


@dataclass(frozen=True)
class LmConfig:
    """Train a small decoder from random weights on the instruction language."""

    out: Path = Path("checkpoints/instruct-lm")
    """Where the checkpoint goes, in Hugging Face's format."""
    overwrite: bool = False
    """Replace a checkpoint that lies in `out`."""
    steps: int = 8400
    """Whole calls of `steps_per_call`."""
    seed: int = 0
    batch: int = 24
    """Trajectories a step."""
    describes: int = 2
    """Instructions of each that are said."""
    asks: int = 6
    """Instructions of each that are asked about: a third right ones, changed ones and one other."""
    ask_weight: float = 1.0
    """Weight of the answers."""
    rivals: int = 3
    """Changed instructions, to be less likely than the one that was carried out."""
    rival_weight: float = 0.5
    """Weight of telling them apart."""
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    ema: float = 0.99
    """Decay of the weight average that is saved."""
    wordings: int = 32
    """Sentences for each instruction."""
    width: int = 96
    layers: int = 3
    heads: int = 4
    mlp: int = 256
    dtype: str = "bfloat16"
    """What the weights are saved in."""
    steps_per_call: int = 60
    states: int = 2048
    """Trajectories it is judged on."""

    def __post_init__(self) -> None:
        if self.steps < 1 or self.steps % self.steps_per_call:
            raise ValueError(f"steps must be a multiple of {self.steps_per_call}, a call's worth")
        if self.states < 1 or self.states % BLOCK:
            raise ValueError(f"states must be a multiple of {BLOCK}")
        if min(self.batch, self.describes, self.wordings, self.rivals) < 1 or self.asks < 3:
            raise ValueError(
                "wanted a batch, a description, a rival and a wording at least, and three questions"
            )
