"""Frames -> rewards, in batches of one shape: the tower is compiled once and looks at each frame once."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxrm.rewards.clip import ClipReward, ClipWeights, score_embeddings
from jaxrm.score.frames import Frame
from jaxrm.weights import ClipCheckpoint, ImageSettings, preprocess, unit


@dataclass(frozen=True, eq=False)
class Scorer:
    """The rewards of several prompts: for each frame the same numbers as `ClipReward` gives.

    Attributes:
      model: the network.
      images: how frames become pixels.
      targets: goal and baseline of each prompt, without the network.
      alpha: strength of the goal-baseline regularisation.
    """

    model: Any
    images: ImageSettings
    targets: tuple[ClipWeights, ...]
    alpha: float

    @classmethod
    def create(
        cls,
        clip: ClipCheckpoint,
        prompts: Sequence[str],
        *,
        baseline: str | None = None,
        alpha: float = 0.0,
        allow_unknown_words: bool = False,
    ) -> "Scorer":
        """One `ClipReward` a prompt; raises what `ClipReward.create` raises."""
        rewards = [
            ClipReward.create(
                clip, goal=prompt, baseline=baseline, alpha=alpha, allow_unknown_words=allow_unknown_words
            )
            for prompt in prompts
        ]
        targets = tuple(reward.weights._replace(model=None) for reward in rewards)
        return cls(clip.model, clip.processor.images, targets, rewards[0].settings.alpha)

    def stream(
        self, frames: Iterable[Frame], batch: int, look: Callable[[Frame], None] = lambda frame: None
    ) -> Iterator[tuple[list[Frame], Float[np.ndarray, "n prompts"]]]:
        """Scores as frames come in, `batch` at a time.

        A frame is shrunk to the model's size before the next one is read, so that one frame of full size
        is held at any time, whatever the batch.

        Args:
          frames: of any sizes.
          batch: frames that go through the network together; the last batch is filled up by repetition.
          look: called with each frame at its full size.

        Yields:
          The frames without their pixels, and their rewards, float32.
        """
        rows: list[Frame] = []
        prepared: list[Array] = []
        for frame in frames:
            look(frame)
            prepared.append(jax.block_until_ready(_prepare(frame.pixels, self.images)))
            rows.append(frame._replace(pixels=_NO_PIXELS))
            if len(rows) == batch:
                yield rows, self._score(prepared, batch)
                rows, prepared = [], []
        if rows:
            yield rows, self._score(prepared, batch)

    def _score(self, prepared: list[Array], batch: int) -> Float[np.ndarray, "n prompts"]:
        pixels = jnp.stack(prepared + prepared[-1:] * (batch - len(prepared)))
        return np.asarray(_rewards(self.model, self.targets, pixels, self.alpha))[: len(prepared)]


_NO_PIXELS = np.zeros((0, 0, 3), np.uint8)
_prepare = partial(jax.jit, static_argnums=1)(preprocess)


@partial(jax.jit, static_argnames="alpha")
def _rewards(
    model: Any, targets: tuple[ClipWeights, ...], pixels: Float[Array, "n h w 3"], alpha: float
) -> Float[Array, "n prompts"]:
    embedded = unit(model.encode_pixels(pixels))
    return jnp.stack([score_embeddings(target, embedded, alpha) for target in targets], axis=-1)
