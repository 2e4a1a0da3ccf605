"""`LikelihoodReward`: the reward of `jaxrm.rewards.likelihood` for people, from frames and a sentence."""

import math
import warnings
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxrm.models import Clip, Network
from jaxrm.models.interface import Interface
from jaxrm.models.reader import check_mask
from jaxrm.rewards.likelihood import (
    LikelihoodWeights,
    Trajectories,
    check_fit,
    differences,
    score,
    score_prefixes,
)
from jaxrm.rewards.prompts import ANSWERS, ASK, DESCRIBE, FRAMES, INSTRUCTION, Prompt, ask, describe
from jaxrm.types import Embeddings, Frames
from jaxrm.weights import (
    ClipCheckpoint,
    DecoderCheckpoint,
    ImageSettings,
    TowerCheckpoint,
    check_frames,
    unit,
)
from jaxrm.weights.embed import check_batch, run
from jaxrm.weights.fingerprint import check_label

Form = Literal["describe", "ask"]


def encode_frames(vision: Network, pixels: Float[Array, "n h w 3"]) -> Float[Array, "n d"]:
    """One vector a frame: of CLIP the embedding of unit norm, of an image tower its pooled output."""
    if isinstance(vision, Clip):
        return unit(vision.encode_pixels(pixels))
    return vision(pixels).astype(jnp.float32)  # pyright: ignore[reportCallIssue]


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class LikelihoodReward:
    """A reward of trajectories. A pytree: as an argument of a compiled function its weights are arguments
    too.

    Attributes:
      vision: the tower that sees, frozen.
      weights: the decoder and its prompt, frozen.
      interface: what is learned.
      images: how frames become pixels; static.
      batch: how many frames the tower sees at once; None: all. Static.
    """

    vision: Network
    weights: LikelihoodWeights
    interface: Interface
    images: ImageSettings = field(metadata={"static": True})
    batch: int | None = field(default=None, metadata={"static": True})

    @classmethod
    def create(
        cls,
        vision: ClipCheckpoint | TowerCheckpoint,
        lm: DecoderCheckpoint,
        interface: Interface,
        *,
        instruction: str,
        form: Form = "describe",
        prompt: str | None = None,
        answers: tuple[str, str] = ANSWERS,
        batch: int | None = None,
        allow_unknown_words: bool = False,
    ) -> "LikelihoodReward":
        """Reward trajectories that do what `instruction` says.

        Args:
          vision: what `load_clip` or `load_tower` gives.
          lm: what `load_decoder` gives.
          interface: from the tower's embeddings into the decoder's input space.
          instruction: a sentence; a full stop at its end changes nothing for a decoder of known words, see
            `jaxrm.rewards.prompts.bare`.
          form: "describe": the mean log-likelihood of the instruction's tokens; "ask": log p(True) - log
            p(False) after a question, which needs no training where the decoder understands the frames
            already.
          prompt: with {frames} and {instruction}; None: `DESCRIBE` or `ASK`.
          answers: of "ask", the right one first.
          batch: how many frames the tower sees at once; None: all.
          allow_unknown_words: go on with words that the decoder never saw, where it is known what it saw.

        Raises:
          TypeError: an argument of another type, e.g. the name of an interface.
          UnknownWordsError: a ValueError that names the words of the instruction that were not in training.
          ValueError: widths that do not fit, a tower, decoder or tokeniser that is another than the interface
            was trained with, an instruction that is longer than the context, a tokeniser that does not fit
            the decoder, another form, a prompt without its places, other than two answers, or a batch below
            1.
          FileNotFoundError: the decoder's checkpoint has no tokeniser.
        """
        _check_types(vision, lm, interface, prompt)
        if form not in ("describe", "ask"):
            raise ValueError(f"form is {form!r}, wanted 'describe' or 'ask'")
        batch = batch if batch is None else check_batch(batch)
        template = prompt if prompt is not None else DESCRIBE if form == "describe" else ASK
        if form == "describe":
            tails = describe(lm.processor, [instruction], template)[0]
        else:
            tails = ask(lm.processor, [instruction], template, answers)[0]
        if not allow_unknown_words:
            lm.processor.check_words([instruction])
        before = np.asarray(lm.processor.begin(Prompt.of(template).before), np.int32)
        _check_widths(vision.model, vision.processor.images, interface)
        check_label(interface.config.tower, vision.model, "tower")
        check_label(interface.config.decoder, lm.model, "decoder")
        _check_vocabulary(interface, lm)
        if interface.config.form not in ("", form):
            told = f"the interface was trained to {interface.config.form}, and form is {form!r}"
            warnings.warn(f"{told}: it was never taught what is scored", stacklevel=2)
        check_fit(lm.model, interface, len(before), 1, tails.tokens.shape[-1])
        weights = LikelihoodWeights(lm.model, jnp.asarray(before), tails)
        return cls(vision.model, weights, interface, vision.processor.images, batch)

    def __call__(
        self, frames: Frames, mask: Bool[Array, "*batch time"] | None = None
    ) -> Float[Array, "*batch"]:
        """uint8 [*batch, time, h, w, 3] -> float32 [*batch]; works under jit and vmap.

        Args:
          frames: in order.
          mask: which of them belong to the trajectory; None: all.

        Raises:
          TypeError, ValueError: frames of another dtype or shape, no frames, a trajectory whose frames are
            all masked (outside of jit), or more than the decoder's context holds.
        """
        return _whole(self, *_checked(frames, mask))

    def prefixes(
        self, frames: Frames, mask: Bool[Array, "*batch time"] | None = None
    ) -> Float[Array, "*batch time"]:
        """The reward of every prefix, as if the trajectory had ended with each frame: a dense reward."""
        return _prefixes(self, *_checked(frames, mask))[..., 1:]

    def differences(
        self, frames: Frames, mask: Bool[Array, "*batch time"] | None = None, discount: float = 1.0
    ) -> Float[Array, "*batch time"]:
        """discount reward(prefix) - reward(prefix before), the first against no frames at all; 0 where
        masked.

        The shape of a potential-based reward (Ng, Harada & Russell 1999), here the whole of it: with discount
        1 it sums to what the trajectory added to the likelihood of its instruction.
        """
        frames, mask = _checked(frames, mask)
        values = _prefixes(self, frames, mask)
        return jnp.where(mask, differences(values[..., 1:], values[..., 0], discount), 0)

    def embed(self, frames: Frames) -> Embeddings:
        """What the tower says about frames, float32 [*batch, d]."""
        check_frames(frames)
        return run(encode_frames, self.vision, frames, self.images, self.batch)


def _trajectories(reward: LikelihoodReward, frames: jax.Array, mask: jax.Array) -> Trajectories:
    embeddings = reward.embed(frames)
    b, t = math.prod(mask.shape[:-1]), mask.shape[-1]
    return Trajectories(embeddings.reshape(b, t, embeddings.shape[-1]), mask.reshape(b, t))


@jax.jit
def _whole(reward: LikelihoodReward, frames: jax.Array, mask: jax.Array) -> jax.Array:
    found = score(reward.weights, reward.interface, _trajectories(reward, frames, mask))
    return found.reshape(mask.shape[:-1])


@jax.jit
def _prefixes(reward: LikelihoodReward, frames: jax.Array, mask: jax.Array) -> jax.Array:
    """[*batch, 1 + time]: no frames at all, then every prefix."""
    ends = jnp.arange(-1, mask.shape[-1])
    found = score_prefixes(reward.weights, reward.interface, _trajectories(reward, frames, mask), ends)
    return found.reshape(*mask.shape[:-1], len(ends))


def _checked(frames: Frames, mask: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    check_frames(frames)
    if frames.ndim < 4:
        raise ValueError(f"frames have shape {tuple(frames.shape)}, wanted [*batch, time, height, width, 3]")
    shape = frames.shape[:-3]
    if not shape[-1]:
        raise ValueError("the trajectory is empty: give one frame at least")
    mask = check_mask(mask, shape, "frame")
    if not isinstance(mask, jax.core.Tracer):
        empty = np.argwhere(~np.asarray(mask).any(axis=-1))
        if len(empty):
            which = tuple(empty[0].tolist())
            raise ValueError(f"all frames of trajectory {which} are masked: leave one to see")
    return jnp.asarray(frames), mask


def _check_types(vision: Any, lm: Any, interface: Any, prompt: Any) -> None:
    """Names are loaded by their callers; said here, before something deep inside misses an attribute."""
    if not isinstance(vision, ClipCheckpoint | TowerCheckpoint):
        raise TypeError(f"vision is {type(vision).__name__}, wanted what load_clip or load_tower gives")
    if not isinstance(lm, DecoderCheckpoint):
        raise TypeError(f"lm is {type(lm).__name__}, wanted what load_decoder gives")
    if not isinstance(interface, Interface):
        raise TypeError(f"interface is {type(interface).__name__}, wanted what load_interface gives")
    if not isinstance(prompt, str | None):
        raise TypeError(f"prompt is {type(prompt).__name__}, wanted a text with {FRAMES} and {INSTRUCTION}")


def _check_vocabulary(interface: Interface, lm: DecoderCheckpoint) -> None:
    wanted = interface.config.vocabulary
    if wanted and wanted != lm.processor.vocabulary_digest:
        raise ValueError(
            f"the interface was trained with other token ids than {lm.processor.source} gives: "
            f"take the tokeniser that came with the decoder {interface.config.decoder.rpartition(':')[0]}"
        )


def _check_widths(vision: Network, images: ImageSettings, interface: Interface) -> None:
    pixels = jax.ShapeDtypeStruct((1, images.size, images.size, 3), jnp.float32)
    width = jax.eval_shape(partial(encode_frames, vision), pixels).shape[-1]
    if width != interface.config.inputs:
        raise ValueError(
            f"the vision tower gives {width} numbers a frame, but the interface takes "
            f"{interface.config.inputs}: they do not belong together"
        )
