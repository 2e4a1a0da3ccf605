"""The settings of the interface's training."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path

from jaxrm.models.interface import InterfaceConfig
from train.interface.data import Source
from train.interface.losses import PROTOCOLS, Negatives, Protocol

# What settings must be; films take minutes, so nothing is left to be found behind them.
_RANGES: dict[str, tuple[Callable[[float], bool], tuple[str, ...]]] = {
    "a whole number of at least 2": (lambda x: isinstance(x, Integral) and x >= 2, ("batch",)),
    "a whole number of at least 1": (
        lambda x: isinstance(x, Integral) and x >= 1,
        ("trajectories", "judged", "shown", "epochs", "wordings"),
    ),
    "a whole number of at least 0": (
        lambda x: isinstance(x, Integral) and x >= 0,
        ("align", "seed", "films_seed", "chunk"),
    ),
    "a number above 0": (lambda x: 0 < x < math.inf, ("temperature", "learning_rate")),
    "a number of at least 0": (lambda x: 0 <= x < math.inf, ("weight_decay",)),
}


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
    """Runs of policies whose kept episodes are learnt from too; see `train.films.episodes`."""
    shown: int = 1024
    """With episodes: further films of each instruction that those policies were told."""
    align: int = 4000
    """Steps of a start in which frames come to stand for the oracle's words; 0: none. See
    `train.interface.align`."""
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
        for words, (holds, names) in _RANGES.items():
            for name in names:
                if not holds(value := getattr(self, name)):
                    raise ValueError(f"{name} is {value}, wanted {words}")
        InterfaceConfig(1, 1, self.layers, self.width, self.heads)  # raises for what cannot be built
        if self.chunk and self.batch % self.chunk:
            raise ValueError(f"chunk is {self.chunk}, wanted a divisor of the batch of {self.batch}")
        asked = self._asked  # raises for what is out of range, whatever the protocol
        if self.protocol != "ml" and asked.others >= self.batch:
            raise ValueError(f"a batch of {self.batch} has no {self.others} others")

    @property
    def negatives(self) -> Negatives:
        """Of the protocol: maximum likelihood has none."""
        return Negatives(0, 0, 0) if self.protocol == "ml" else self._asked

    @property
    def _asked(self) -> Negatives:
        return Negatives(self.others, self.spoiled, self.changed, self.failing, self.prefixes)

    @property
    def folder(self) -> Path:
        return self.out or Path("runs") / f"interface-{self.protocol}-{self.layers}-seed{self.seed}"

    @property
    def source(self) -> Source:
        return Source(self.model, self.trajectories, self.judged, self.films_seed)
