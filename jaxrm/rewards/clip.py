"""How much a frame looks like the goal sentence (VLM-RM, Rocamonde et al. 2023, arXiv 2310.12921).

In three parts for compiled loops: `ClipWeights`, a pytree that is an argument of the program; a state, empty,
for this reward learns nothing; and `score(weights, state, frames, settings)`, pure. `ClipReward` is a small
object in front of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrm.models import Clip
from jaxrm.types import Frames
from jaxrm.weights import ClipCheckpoint, ImageSettings, check_frames, check_texts, embed_frames, unit

INITIAL_STATE = ()  # what the reward learns: nothing
_SAME = 1e-6  # float32 vectors closer than this are the same


class ClipWeights(NamedTuple):
    """What the reward looks with and for. All frozen.

    Attributes:
      model: the network.
      goal: unit vector of the goal sentence, [d].
      baseline: unit vector of the baseline sentence, [d]; None where alpha is 0.
      negative: unit vector of what shall not be seen, [d], or None.
    """

    model: Clip
    goal: Float[Array, "d"]
    baseline: Float[Array, "d"] | None
    negative: Float[Array, "d"] | None = None


@dataclass(frozen=True)
class ClipSettings:
    """Static choices: how frames become pixels, and alpha."""

    images: ImageSettings
    alpha: float = 0.0


def goal_baseline(
    s: Float[Array, "*batch d"], goal: Float[Array, "d"], baseline: Float[Array, "d"], alpha: float
) -> Float[Array, "*batch"]:
    """1 - ||alpha proj_L(s) + (1 - alpha) s - g||^2 / 2, with L the line through baseline and goal.

    All three are unit vectors. alpha = 0 is the cosine, alpha = 1 keeps only what lies along L.
    """
    line = unit(goal - baseline)
    # The goal lies on L, so proj_L(s) - g is the part of s - g along L.
    away = s - goal
    along = (away @ line)[..., None] * line
    rest = alpha * along + (1 - alpha) * away
    return 1 - 0.5 * jnp.sum(rest**2, axis=-1)


def score(
    weights: ClipWeights, state: tuple[()], frames: Frames, settings: ClipSettings
) -> Float[Array, "*batch"]:
    """uint8 [*batch, h, w, 3] -> float32 [*batch]. Pure; `settings` is static, `state` is empty."""
    return score_embeddings(weights, embed_frames(weights.model, frames, settings.images), settings.alpha)


def score_embeddings(
    weights: ClipWeights, s: Float[Array, "*batch d"], alpha: float
) -> Float[Array, "*batch"]:
    """The same for frames that are embedded already, as unit vectors; `weights.model` is not used. Pure."""
    if weights.baseline is None:
        reward = s @ weights.goal
    else:
        reward = goal_baseline(s, weights.goal, weights.baseline, alpha)
    return reward if weights.negative is None else reward - s @ weights.negative


_score = jax.jit(score, static_argnames="settings")


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class ClipReward:
    """A reward of frames. A pytree: as an argument of a compiled function its weights are arguments too."""

    weights: ClipWeights
    settings: ClipSettings = field(metadata={"static": True})

    @classmethod
    def create(
        cls,
        clip: ClipCheckpoint,
        *,
        goal: str | Sequence[str],
        baseline: str | None = None,
        negatives: str | Sequence[str] = (),
        alpha: float = 0.0,
        allow_unknown_words: bool = False,
    ) -> "ClipReward":
        """Reward what looks like `goal`.

        Args:
          clip: what `load_clip` gives.
          goal: a sentence, or several: their unit vectors are averaged, and the mean gets unit norm again
            (VLM-RM's published code leaves it shorter, so that its alpha = 0 is no cosine).
          baseline: what the scene looks like anyway; needed where alpha > 0, without effect where it is 0.
          negatives: sentences of what shall not be seen. Their unit vectors are averaged and get unit norm
            again; the cosine with it is taken off the reward, as in the contrasting goals of VLM-RL (Huang
            et al. 2024, arXiv 2412.15544), with equal weights and not halved.
          alpha: strength of the goal-baseline regularisation, in [0, 1]; 0 is the cosine.
          allow_unknown_words: go on with words that the model never saw in training.

        Raises:
          TypeError: `clip` is something else, e.g. a name.
          ValueError: alpha outside [0, 1]; alpha > 0 without a baseline, or with one that the model cannot
            tell from the goal; an empty, too long or unknown sentence.
        """
        if not isinstance(clip, ClipCheckpoint):
            raise TypeError(f"clip is {type(clip).__name__}, wanted what load_clip gives")
        goals = [goal] if isinstance(goal, str) else list(goal)
        unwanted = [negatives] if isinstance(negatives, str) else list(negatives)
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha is {alpha}, wanted 0 to 1")
        if alpha > 0 and baseline is None:
            raise ValueError(f"alpha is {alpha}, and above 0 it needs a baseline sentence")
        check_texts(goals)
        sentences = [*goals, *unwanted, *([] if baseline is None else [baseline])]
        if not allow_unknown_words:
            clip.processor.check_words(sentences)
        clip.processor.check_length(sentences)
        vectors = clip.embed_texts(sentences)
        goal_vector = _mean_direction("goals", goals, vectors[: len(goals)])
        negative = None
        if unwanted:
            rows = vectors[len(goals) : len(goals) + len(unwanted)]
            negative = _mean_direction("negatives", unwanted, rows)
            if jnp.linalg.norm(goal_vector - negative) < _SAME:
                raise ValueError(
                    f"goal {goal!r} and negatives {unwanted!r} are the same to the model: nothing is left"
                )
        settings = ClipSettings(clip.processor.images, float(alpha))
        if alpha == 0:
            return cls(ClipWeights(clip.model, goal_vector, None, negative), settings)
        if jnp.linalg.norm(goal_vector - vectors[-1]) < _SAME:
            raise ValueError(
                f"goal {goal!r} and baseline {baseline!r} are the same to the model: no line joins them"
            )
        return cls(ClipWeights(clip.model, goal_vector, vectors[-1], negative), settings)

    def __call__(self, frames: Frames) -> Float[Array, "*batch"]:
        """uint8 [*batch, h, w, 3] -> float32 [*batch]; works under jit and vmap.

        Raises:
          TypeError, ValueError: frames of another dtype or shape.
        """
        check_frames(frames)
        return _score(self.weights, INITIAL_STATE, frames, self.settings)


def _mean_direction(name: str, sentences: list[str], vectors: Float[Array, "n d"]) -> Float[Array, "d"]:
    mean = vectors.mean(axis=0)
    if jnp.linalg.norm(mean) < _SAME:
        raise ValueError(f"the {name} {sentences!r} point in opposite directions: their mean has none")
    return unit(mean)
