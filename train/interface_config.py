"""The settings of the interface's training."""

from dataclasses import dataclass
from pathlib import Path

from train.interface_data import Source
from train.interface_losses import PROTOCOLS, Negatives, Protocol


@dataclass(frozen=True)
class TrainingConfig:
    """Train an interface between frames and a frozen decoder."""

    protocol: Protocol = "contrastive"
    """ml: the instruction becomes likely; contrastive: likelier than after what spoils it; success: the
    answer to whether it was carried out."""
    out: Path | None = None
    """The run's folder; runs/interface-PROTOCOL-LAYERS-seedN without."""
    overwrite: bool = False
    """Replace an interface that lies there."""
    lm: str = "instruct-lm"
    """The decoder: one that comes with us, a directory, or a hub id."""
    lm_dtype: str = "float32"
    """What it is computed in, float32 or bfloat16, in which its weights are then kept, too."""
    model: str = "scene-clip-fine"
    """The CLIP whose tower looks."""
    layers: int = 1
    """Blocks of the interface; 0: linear."""
    width: int = 128
    """Of its blocks."""
    heads: int = 4
    trajectories: int = 4096
    """Of training, made and embedded once."""
    judged: int = 256
    """Of each kind that is held out."""
    data: Path | None = None
    """A file for the embedded trajectories: written where it is not there, else read."""
    episodes: tuple[Path, ...] = ()
    """Runs of policies whose kept episodes are learnt from too; see `train.episodes`."""
    shown: int = 1024
    """With episodes: further films of each instruction that those policies were told."""
    align: int = 4000
    """Steps of a start in which frames come to stand for the oracle's words; 0: none. See
    `train.interface_align`."""
    epochs: int = 7
    seed: int = 0
    films_seed: int = 0
    """Of the films, those held out among them; apart, so that training seeds are judged by the same."""
    batch: int = 16
    """Trajectories a step."""
    chunk: int = 0
    """Trajectories whose scores are computed at a time, for large batches (gradient caching); 0: all."""
    others: int = 2
    """Instructions of others in the batch, and as many of the others' trajectories, as negatives."""
    spoiled: int = 3
    """Kinds of spoiled trajectories a step as negatives, of 6."""
    changed: int = 5
    """Kinds of changed instructions a step as negatives, of 5."""
    failing: int = 2
    """Films of bodies that fail, a step, as negatives."""
    prefixes: int = 3
    """Prefixes of each film, and of each that fails, that are ranked by how far they came."""
    temperature: float = 0.1
    """Of the contrastive loss."""
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    wordings: int = 16
    """Sentences for each instruction."""

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"protocol is {self.protocol!r}, wanted one of {', '.join(PROTOCOLS)}")
        if self.batch < 2 or self.wordings < 1 or self.temperature <= 0 or self.epochs < 1 or self.align < 0:
            raise ValueError(
                "wanted a batch of 2 at least, a wording and an epoch at least, and a temperature above 0"
            )
        if self.shown < 1:
            raise ValueError(f"shown is {self.shown}, wanted 1 at least")
        if self.chunk < 0 or (self.chunk and self.batch % self.chunk):
            raise ValueError(f"chunk is {self.chunk}, wanted a divisor of the batch of {self.batch}")
        if self.negatives.others >= self.batch:
            raise ValueError(f"a batch of {self.batch} has no {self.others} others")

    @property
    def negatives(self) -> Negatives:
        """Of the protocol: maximum likelihood has none."""
        if self.protocol == "ml":
            return Negatives(0, 0, 0)
        return Negatives(self.others, self.spoiled, self.changed, self.failing, self.prefixes)

    @property
    def folder(self) -> Path:
        return self.out or Path("runs") / f"interface-{self.protocol}-{self.layers}-seed{self.seed}"

    @property
    def source(self) -> Source:
        return Source(self.model, self.trajectories, self.judged, self.films_seed)
