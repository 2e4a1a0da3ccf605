"""The settings of the small CLIP's training."""

from dataclasses import dataclass
from pathlib import Path

import tyro

SCENE_SHARE = 32  # one frame in so many is of each scene of classic control


@dataclass(frozen=True)
class ClipConfig:
    """Train a small CLIP from random weights on scenes of the humanoid."""

    out: Path = Path("checkpoints/scene-clip")
    """Where the checkpoint goes, in Hugging Face's format."""
    overwrite: bool = False
    """Replace a checkpoint that lies in `out`."""
    images: int = 1_536_000
    """Training frames, each drawn once; whole calls of `steps_per_call` batches."""
    seed: int = 0
    batch: int = 256
    texts: int = 64
    """Captions that a batch is compared with."""
    microbatch: int = 16
    """Frames that go through the tower at once, on each device; results are the same up to rounding."""
    learning_rate: float = 1.5e-3
    """Of AdamW, for all but the towers' matrices, at its highest."""
    weight_decay: float = 0.05
    """And its weight decay."""
    matrix_learning_rate: float = 0.02
    """Of Muon (Jordan et al. 2024), for the matrices in the towers' blocks, at its highest."""
    matrix_weight_decay: float = 0.005
    """And its weight decay."""
    measure_weight: float = 0.5
    """Weight of the read-out of the measured geometry from the image's embedding."""
    place_weight: float = 1.0
    """Weight of the read-out of where every limb is from the image tower's tokens."""
    start: Path | None = None
    """A checkpoint of towers of the same widths to go on from, of any vocabulary, `size` and `patch`; random
    weights without."""
    lock_images: bool = False
    """Learn the text alone, for images as `start` sees them (Zhai et al. 2022, arXiv 2111.07991): new words
    that change no embedding of a frame."""
    ema: float = 0.999
    """Decay of the weight average that is saved."""
    size: int = 64
    """Side of a frame in pixels."""
    patch: int = 16
    width: int = 128
    layers: int = 4
    heads: int = 4
    text_width: int = 128
    text_layers: int = 2
    projection: int = 96
    pool: int = 49_152
    """States pulled towards claims and of bodies under physics, half and half; two thirds of a batch."""
    steps_per_call: int = 50
    calls_per_save: int = 20
    """How often the average of the weights is saved: what a run that is stopped leaves, for --start, or for
    `train judge`, which gives it a card."""

    def validate(self, devices: int) -> None:
        """Refuses settings that cannot be trained with on so many devices.

        Raises:
          ValueError: with what is wrong.
        """
        call = self.batch * self.steps_per_call
        if self.images < call or self.images % call:
            raise ValueError(f"images is {self.images}; it must be a multiple of {call}, a call's worth")
        if self.lock_images and self.start is None:
            raise ValueError("--lock-images learns words for a tower that sees: name one with --start")
        for name, unit in (("batch", SCENE_SHARE * devices), ("texts", devices)):
            if getattr(self, name) % unit:
                raise ValueError(
                    f"{name} is {getattr(self, name)}; on {devices} devices it must be a multiple of {unit}"
                )


@dataclass(frozen=True)
class JudgeConfig:
    """Judge a small CLIP again and renew its card, or tell how well it knows what policies do."""

    directory: tyro.conf.Positional[Path] = Path("checkpoints/scene-clip")
    """Where its weights lie."""
    seed: int = 1
    """Of the states and cameras that it is judged on."""
    runs: tuple[Path, ...] = ()
    """Finished runs of the humanoid: judge on their policies' states, drawn with random cameras and looks
    as the card's are, and leave the card as it is."""
