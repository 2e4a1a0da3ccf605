"""How likely an instruction is to a language model that has seen the trajectory (FoMo rewards, arXiv
2312.03881).

The paper's body and code are not public; these are our definitions, a reconstruction:
  s(tau, l) = (1 / |l|) sum_k log p_LLM(l_k | prompt, I(V(o_1 .. o_T)), l_<k),
with a frozen vision tower V, a learned interface I and a frozen decoder; the last token of l is the end of
the text, where the decoder has one and the interface was trained with it. The other form asks whether the
instruction was carried out and takes log p("True") - log p("False"), as TOPReward does (arXiv 2602.19313).

In three parts for compiled loops: `LikelihoodWeights`, frozen; the state, an `Interface`; and pure functions
of both and of trajectories. `jaxrm.LikelihoodReward` is a small object in front of them.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxrm.models.context import Context
from jaxrm.models.decoder import Decoder
from jaxrm.models.interface import Interface
from jaxrm.models.reader import real_of
from jaxrm.rewards.prompts import Tails


class LikelihoodWeights(NamedTuple):
    """What the reward reads with and for. All frozen: no gradient reaches it.

    Attributes:
      lm: the decoder.
      before: tokens that stand before the frames, [p], one at least.
      tails: what stands behind them, of one instruction: [m], or [2, m] where it asks.
    """

    lm: Decoder
    before: Int[Array, "p"]
    tails: Tails


class Trajectories(NamedTuple):
    """Embedded frames in order.

    Attributes:
      embeddings: [b, t, d], what the vision tower says about each frame.
      mask: bool [b, t], which frames belong to the trajectory; the others may stand anywhere and count for
        nothing, even where they are NaN. A row without any frame is scored by the prompt alone.
    """

    embeddings: Float[Array, "b t d"]
    mask: Bool[Array, "b t"]

    @property
    def real(self) -> Bool[Array, "b t"]:
        """The mask; raises a ValueError unless it says of each frame whether it belongs."""
        return real_of(self.embeddings, self.mask)


def score(weights: LikelihoodWeights, state: Interface, batch: Trajectories) -> Float[Array, "b"]:
    """s(tau, l) of each trajectory for the reward's instruction, or its log-odds of being done. Pure."""
    return scores(weights, state, batch, batch.real[:, None])[:, 0]


def score_prefixes(
    weights: LikelihoodWeights, state: Interface, batch: Trajectories, ends: Int[Array, "n"] | None = None
) -> Float[Array, "b n"]:
    """The same for prefixes: as if the trajectory had ended with frame `ends[j]`. Pure.

    Frames are causal context, so they are read once for all prefixes, and only the words behind them are
    read for each: about (t + m n) steps of the decoder a trajectory in place of n (t / 2 + m).

    Args:
      ends: index of the last frame of each prefix, -1 for none at all; None: every frame in turn.
    """
    real = batch.real
    t = real.shape[1]
    ends = jnp.arange(t) if ends is None else ends
    seen = jnp.arange(t) <= ends[:, None]
    return scores(weights, state, batch, seen & real[:, None])


def scores(
    weights: LikelihoodWeights, state: Interface, batch: Trajectories, visible: Bool[Array, "b n t"]
) -> Float[Array, "b n"]:
    """The reward of each of n selections of frames; frames of a selection must be those up to some time."""
    tails = weights.tails
    rows = tails[None, None] if tails.asks else tails[None, None, None]
    b, n, k = *visible.shape[:2], rows.tokens.shape[2]
    shape = (b, n, k, rows.tokens.shape[-1])
    flat = jax.tree.map(lambda a: jnp.broadcast_to(a, shape).reshape(b, n * k, shape[-1]), rows)
    found = tail_scores(weights.lm, state, weights.before, batch, flat, jnp.repeat(visible, k, axis=1))
    found = found.reshape(b, n, k)
    return found[..., 0] - found[..., 1] if tails.asks else found[..., 0]


def tail_scores(
    lm: Decoder,
    interface: Interface,
    before: Int[Array, "p"],
    batch: Trajectories,
    tails: Tails,
    visible: Bool[Array, "b n t"] | None = None,
) -> Float[Array, "b n"]:
    """Log-likelihood of the scored tokens of n tails behind each trajectory, in float32 at least: their
    mean, or for answers their sum. Pure, and the one computation that rewards and losses share.

    Gradients reach the interface only.

    Args:
      tails: rows [b, n, m], or [1, n, m] for the same tails behind all trajectories.
      visible: the frames that each tail sees; None: all of the trajectory's.

    Raises:
      ValueError: no frames, a mask of another shape or of fractions, widths that do not fit, or more than
        the decoder's context holds.
    """
    return sum_scored(tail_log_probs(lm, interface, before, batch, tails, visible), tails)


def sum_scored(log_probs: Float[Array, "b n scored"], tails: Tails) -> Float[Array, "b n"]:
    """Over the tokens that are asked about: their mean, or for answers their sum."""
    scored = tails.scored[..., tails.first :]
    total = jnp.sum(log_probs * scored, axis=-1)
    return total if tails.asks else total / jnp.maximum(scored.sum(axis=-1), 1)


def tail_log_probs(
    lm: Decoder,
    interface: Interface,
    before: Int[Array, "p"],
    batch: Trajectories,
    tails: Tails,
    visible: Bool[Array, "b n t"] | None = None,
) -> Float[Array, "b n scored"]:
    """log p of the tokens `tails.first` and on, each given the prompt, the visible frames and the tail
    before.
    """
    lm, before, batch = jax.lax.stop_gradient((lm, before, batch))
    real = batch.real
    (b, t), p = real.shape, len(before)
    n, m = tails.tokens.shape[-2:]
    check_fit(lm, interface, p, t, m)
    prompt = jnp.broadcast_to(lm.embed(before), (b, p, lm.config.blocks.width))
    frames = interface.read(batch.embeddings, real).astype(prompt.dtype)
    mask = jnp.concatenate([jnp.ones((b, p), bool), real], axis=1)
    hidden, context = lm.remember(jnp.concatenate([prompt, frames], axis=1), mask)
    if visible is None:
        visible = jnp.broadcast_to(real[:, None], (b, n, t))
    seen = jnp.concatenate([jnp.ones((b, n, p), bool), visible], axis=-1) & mask[:, None]
    # The first token of a tail is foretold by the last vector before it.
    last = jnp.max(jnp.where(seen, jnp.arange(p + t), 0), axis=-1)
    last = jnp.take_along_axis(hidden, last[..., None], axis=1)
    return log_probs_behind(lm, context, last, tails, seen)


def log_probs_behind(
    lm: Decoder,
    context: Context,
    last: Float[Array, "b n width"],
    tails: Tails,
    seen: Bool[Array, "b n slots"] | None = None,
) -> Float[Array, "b n scored"]:
    """The same behind what the decoder has read already.

    Args:
      context: prompt and frames.
      last: the final hidden state of the last of them, as each tail sees it.
      seen: the slots that each tail sees; None: all that hold something.
    """
    b, (n, m) = last.shape[0], tails.tokens.shape[-2:]
    tokens, real = (jnp.broadcast_to(a, (b, n, m)) for a in (tails.tokens, tails.mask))
    foretell = last[:, :, None]
    if m > 1:  # the last token is foretold, and foretells nothing that is asked about
        read = lm.branch(context, lm.embed(tokens[..., :-1]), real[..., :-1], seen)
        foretell = jnp.concatenate([foretell, read], axis=2)
    return lm.log_probs(foretell[:, :, tails.first :], tokens[:, :, tails.first :])


def differences(
    values: Float[Array, "*batch t"], start: Float[Array, "*batch"], discount: float = 1.0
) -> Float[Array, "*batch t"]:
    """discount values_t - values_(t-1): the value of a prefix as a potential. `start`: the value before the
    first frame.

    Added to another reward, and with a potential of 0 where an episode ends, it would change no optimal
    policy (Ng, Harada & Russell 1999). Here it is the whole reward, and what the last prefix is worth is
    kept: a policy is paid for where its episode ends.
    """
    before = jnp.concatenate([jnp.asarray(start)[..., None], values[..., :-1]], axis=-1)
    return discount * values - before


def check_fit(lm: Decoder, interface: Interface, p: int, t: int, m: int) -> None:
    """Raise a ValueError for an empty trajectory, widths that do not fit, or too long a sequence."""
    width = lm.config.blocks.width
    if interface.config.outputs != width:
        raise ValueError(
            f"the interface gives vectors of {interface.config.outputs} numbers, but the decoder reads "
            f"{width}: they do not belong together"
        )
    check_room(lm, p, t, m)


def check_room(lm: Decoder, p: int, t: int, m: int) -> None:
    """Raise a ValueError for an empty trajectory, or more than the decoder's context holds."""
    if not t:
        raise ValueError("the trajectory is empty: give one frame at least")
    if not p:
        raise ValueError("nothing stands before the frames: give one token at least")
    if p + t + m > lm.config.context:
        raise ValueError(
            f"a prompt of {p} tokens, {t} frames and an instruction with its words of {m} tokens make "
            f"{p + t + m}, but the decoder's context holds {lm.config.context}"
        )
