"""How far a film has come with an instruction, frame by frame, as an oracle sees it.

A policy is paid for every prefix of its episode, so that an interface has to rank prefixes too: one after
which the first of two actions is done above the beginning, and a body that has fallen below one that stands.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from envs.humanoid.instructions import ACTIONS, NUMBERS, action_table
from envs.humanoid.motion_truth import Signs, carried_out
from jaxrm.rewards.protocols import told_apart

DONE, HALF, BEGUN = 4, 2, 0  # levels; one less where the body lies
TOGETHER = 2.0  # 1/nats^2, weight of the squared distance between scores of the same level
LYING = (0.4, 0.6)  # the torso's axis has at most this cosine with the vertical, and lies at most as high, m
_FIRST = np.array([NUMBERS[(ACTIONS[first],)] for first, _ in action_table()])
_TWO = action_table()[:, 1] >= 0


def lies(qpos: Float[Array, "*batch nq"]) -> Bool[Array, "*batch"]:
    """Whether the body has fallen, or lain down: a torso near the floor and not upright."""
    upright = 1 - 2 * (qpos[..., 4] ** 2 + qpos[..., 5] ** 2)
    return (upright < LYING[0]) & (qpos[..., 2] < LYING[1])


def levels(
    signs: Signs, mask: Bool[Array, "t"], lying: Bool[Array, "t"], which: Int[Array, ""]
) -> Int[Array, "t"]:
    """Of each prefix of one film: `DONE` where it carries out the instruction, `HALF` where the first of two
    actions was done, else `BEGUN`; one less where the body lies and has not done it. Pure, callers `vmap`."""
    prefixes = jnp.tril(jnp.ones((len(mask), len(mask)), bool)) & mask

    def done(which: Int[Array, ""]) -> Bool[Array, "t"]:
        return jax.vmap(lambda mask: carried_out(signs, mask, which))(prefixes)

    first = jax.lax.cummax(done(jnp.asarray(_FIRST)[which]).astype(jnp.int32)) > 0
    before = jnp.where(jnp.asarray(_TWO)[which] & first, HALF, BEGUN) - lying
    return jnp.where(done(which), DONE, before)


def draw_prefixes(
    key: Array,
    signs: Signs,
    mask: Bool[Array, "t"],
    lying: Bool[Array, "t"],
    which: Int[Array, ""],
    count: int,
) -> tuple[Int[Array, "count+1"], Int[Array, "count+1"]]:
    """The last frames of `count` prefixes of one film and of the whole, and their levels; callers `vmap`."""
    last = jnp.max(jnp.where(mask, jnp.arange(len(mask)), 0))
    ends = jnp.append(jax.random.randint(key, (count,), 0, last + 1), last)
    return ends, levels(signs, mask, lying, which)[ends]


def until(mask: Bool[Array, "b t"], ends: Int[Array, "b n"]) -> Bool[Array, "b n t"]:
    """What is seen of films up to these frames."""
    return (jnp.arange(mask.shape[1]) <= ends[..., None]) & mask[:, None]


def ranked(scores: Float[Array, "b n"], levels: Int[Array, "b n"], temperature: float) -> Float[Array, ""]:
    """A loss: each score is set apart from those of lower levels in its row, the mean over those that have
    any; and scores of the same level are drawn together, or a policy would be paid for how it stands still.
    """
    b, n = scores.shape
    lower = (levels[:, None] < levels[:, :, None]).reshape(b * n, n)
    apart = told_apart(scores.reshape(-1), jnp.repeat(scores, n, axis=0), lower, temperature)
    some = lower.any(axis=1)
    same = (levels[:, None] == levels[:, :, None]) & ~jnp.eye(n, dtype=bool)
    gaps = (scores[:, None] - scores[:, :, None]) ** 2
    ties = (gaps * same).sum() / jnp.maximum(same.sum(), 1)
    return (apart * some).sum() / jnp.maximum(some.sum(), 1) + TOGETHER * ties
