"""Three ways to train the interface of `jaxrm.rewards.likelihood`, as losses; pure, of the interface first.

Maximum likelihood, contrastive and success detection are FoMo's (arXiv 2312.03881) by name; what they are
here is our reconstruction. The decoder is frozen, so `jax.grad` of any of them is a gradient of the
interface alone.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxrm.models.decoder import Decoder
from jaxrm.models.interface import Interface
from jaxrm.rewards.likelihood import Trajectories, tail_scores
from jaxrm.rewards.prompts import Tails


class Reading(NamedTuple):
    """What reads: the decoder and the tokens before the frames."""

    lm: Decoder
    before: Int[Array, "p"]


def maximum_likelihood(
    interface: Interface, reading: Reading, batch: Trajectories, tails: Tails
) -> Float[Array, ""]:
    """-E s(tau, l), with `tails` [b, m] the instruction of each trajectory."""
    return -tail_scores(*_inputs(interface, reading), batch, tails[:, None]).mean()


def contrastive(
    interface: Interface,
    reading: Reading,
    batch: Trajectories,
    tails: Tails,
    *,
    same: Bool[Array, "b b"] | None = None,
    worse_batch: Trajectories | None = None,
    worse_tails: Tails | None = None,
    temperature: float | Float[Array, ""] = 0.1,
) -> Float[Array, ""]:
    """-E log(e^(s(tau, l) / T) / (e^(s(tau, l) / T) + sum over tau- + sum over l-)), T the temperature.

    Negatives are the batch's other trajectories and other instructions, and perturbations of each pair.

    Args:
      tails: the instruction of each trajectory, rows [b, m].
      same: [i, j]: trajectory i does what instruction j says, so that the pair is no negative; None: only i
        = j.
      worse_batch: q perturbations of each trajectory, embeddings [b, q, t, d] and mask [b, q, t].
      worse_tails: r perturbations of each instruction, rows [b, r, m].
      temperature: above 0.
    """
    inputs = _inputs(interface, reading)
    b = batch.mask.shape[0]
    pairs = tail_scores(*inputs, batch, tails[None])
    extra = []
    if worse_tails is not None:
        extra.append(tail_scores(*inputs, batch, worse_tails))
    if worse_batch is not None:
        q = worse_batch.mask.shape[1]
        flat = jax.tree.map(lambda a: a.reshape(b * q, *a.shape[2:]), worse_batch)
        repeated = jax.tree.map(lambda a: jnp.repeat(a, q, axis=0), tails)
        extra.append(tail_scores(*inputs, flat, repeated[:, None]).reshape(b, q))
    worse = jnp.concatenate(extra, axis=1) if extra else None
    return contrastive_of_scores(pairs, same, worse, temperature)


def contrastive_of_scores(
    pairs: Float[Array, "b b"],
    same: Bool[Array, "b b"] | None = None,
    worse: Float[Array, "b k"] | None = None,
    temperature: float | Float[Array, ""] = 0.1,
) -> Float[Array, ""]:
    """The contrastive loss from s(tau_i, l_j) and the scores of each pair's own perturbations.

    With large batches the scores can be computed in parts and their gradients put together (Gao et al. 2021,
    arXiv 2101.06983): this function is all that couples the rows.
    """
    b = len(pairs)
    same = jnp.eye(b, dtype=bool) if same is None else same | jnp.eye(b, dtype=bool)
    worse = jnp.zeros((b, 0)) if worse is None else worse
    # row i: other instructions; column i: other trajectories
    rest = jnp.concatenate([pairs, pairs.T, worse], axis=1)
    wrong = jnp.concatenate([~same, ~same.T, jnp.ones(worse.shape, bool)], axis=1)
    return told_apart(jnp.diagonal(pairs), rest, wrong, temperature).mean()


def told_apart(
    own: Float[Array, "b"],
    rest: Float[Array, "b k"],
    wrong: Bool[Array, "b k"],
    temperature: float | Float[Array, ""],
) -> Float[Array, "b"]:
    """-log of the share of each own score among itself and those that are `wrong`, after e^(score / T)."""
    logits = jnp.concatenate([own[:, None], jnp.where(wrong, rest, -jnp.inf)], axis=1) / temperature
    return -jax.nn.log_softmax(logits, axis=1)[:, 0]


def success_detection(
    interface: Interface, reading: Reading, batch: Trajectories, tails: Tails, done: Bool[Array, "b"]
) -> Float[Array, ""]:
    """-E log p(answer), the answer "True" where the instruction was carried out and "False" where not.

    Args:
      tails: of `jaxrm.rewards.prompts.ask`, rows [b, 2, m], whose question is about each trajectory.
      done: the truth.
    """
    if not tails.asks:
        raise ValueError("these tails describe: success detection needs those of `ask`")
    return -tail_scores(*_inputs(interface, reading), batch, tails.answered(done)[:, None]).mean()


def _inputs(interface: Interface, reading: Reading) -> tuple[Decoder, Interface, jax.Array]:
    return reading.lm, interface, reading.before
