"""How far a film has come with an instruction, frame by frame, as an oracle sees it.

A policy is paid for every prefix of its episode, so that an interface has to rank prefixes too: one after
which the first of two actions is done above the beginning, and a body that has fallen below one that stands.
On the way to where an action ends the level rises, or a policy would search in the dark.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from envs.humanoid.instructions import ACTIONS, NUMBERS, action_table
from envs.humanoid.motion_truth import EARLY, ENDS, Signs, carried_out, facing, share_turned
from jaxrm.rewards.protocols import told_apart

DONE, HALF, BEGUN = 4.0, 2.0, 0.0  # levels; one less where the body lies
REACH = 0.9  # share of the way to the next level that a body can go without getting there
SLOPE = 0.5  # nats by which scores are to rise with a level
EVEN = 2.0  # 1/nats^2, weight of the squared error of that
LYING = (0.4, 0.6)  # the torso's axis has at most this cosine with the vertical, and lies at most as high, m
_FIRST = np.array([NUMBERS[(ACTIONS[first],)] for first, _ in action_table()])


def lies(qpos: Float[Array, "*batch nq"]) -> Bool[Array, "*batch"]:
    """Whether the body has fallen, or lain down: a torso near the floor and not upright."""
    upright = 1 - 2 * (qpos[..., 4] ** 2 + qpos[..., 5] ** 2)
    return (upright < LYING[0]) & (qpos[..., 2] < LYING[1])


def levels(
    signs: Signs, mask: Bool[Array, "t"], lying: Bool[Array, "t"], which: Int[Array, ""]
) -> Float[Array, "t"]:
    """Of each prefix of one film: `DONE` where it carries out the instruction, from `HALF` on where the first
    of two actions was done, else from `BEGUN` on, and higher as the next end is nearer; one less where the
    body lies and has not done it. Pure, callers `vmap`."""
    prefixes = jnp.tril(jnp.ones((len(mask), len(mask)), bool)) & mask

    def done(which: Int[Array, ""]) -> Bool[Array, "t"]:
        return jax.vmap(lambda mask: carried_out(signs, mask, which))(prefixes)

    one, other = jnp.asarray(action_table())[which]
    two = other >= 0
    first = jax.lax.cummax(done(jnp.asarray(_FIRST)[which]).astype(jnp.int32)) > 0
    begun = BEGUN + jnp.where(two, HALF, DONE) * REACH * _near(signs, mask, one, mask, EARLY)
    half = HALF + (DONE - HALF) * REACH * _near(signs, mask, other, first, 1.0)
    return jnp.where(done(which), DONE, jnp.where(two & first, half, begun) - lying)


def _near(
    signs: Signs, mask: Bool[Array, "t"], action: Int[Array, ""], on: Bool[Array, "t"], early: float
) -> Float[Array, "t"]:
    """How near an action is to its end, 0 to 1, after it began.

    Args:
      on: where it may begin.
      early: share of a prefix in which it must.
    """
    start, end = jnp.asarray(ENDS)[action]
    starts = signs.holds[:, start] & mask & on
    rank, frame = jnp.cumsum(mask) - 1, jnp.arange(len(mask))
    first = jnp.where(starts.any(), jnp.argmax(starts), len(mask))
    began = (frame >= first) & (rank[first] <= early * rank)  # behind the end an index means the last frame
    share = share_turned(action, facing(signs.heading, mask), frame >= first)
    share = jnp.clip(share, 0.0, 1.0)
    last = jax.lax.cummax(jnp.where(mask, frame, 0))  # a masked frame changes nothing
    return jnp.where(began, signs.near[:, end] * share, 0.0)[last]


def draw_prefixes(
    key: Array,
    signs: Signs,
    mask: Bool[Array, "t"],
    lying: Bool[Array, "t"],
    which: Int[Array, ""],
    count: int,
) -> tuple[Int[Array, "count+1"], Float[Array, "count+1"]]:
    """The last frames of `count` prefixes of one film and of the whole, and their levels; callers `vmap`."""
    last = jnp.max(jnp.where(mask, jnp.arange(len(mask)), 0))
    ends = jnp.append(jax.random.randint(key, (count,), 0, last + 1), last)
    return ends, levels(signs, mask, lying, which)[ends]


def until(mask: Bool[Array, "b t"], ends: Int[Array, "b n"]) -> Bool[Array, "b n t"]:
    """What is seen of films up to these frames."""
    return (jnp.arange(mask.shape[1]) <= ends[..., None]) & mask[:, None]


def ranked(scores: Float[Array, "b n"], levels: Float[Array, "b n"], temperature: float) -> Float[Array, ""]:
    """A loss: each score is set apart from those in its row that are lower by a level or more, the mean over
    those that have any; and scores rise evenly with the level. So those of the same level are alike: else a
    policy is paid for how it stands still.
    """
    b, n = scores.shape
    higher = levels[:, :, None] - levels[:, None]
    lower = (higher >= 1).reshape(b * n, n)
    apart = told_apart(scores.reshape(-1), jnp.repeat(scores, n, axis=0), lower, temperature)
    some = lower.any(axis=1)
    error = (scores[:, :, None] - scores[:, None] - SLOPE * higher) ** 2
    even = error.sum() / max(b * n * (n - 1), 1)  # none of a score with itself
    return (apart * some).sum() / jnp.maximum(some.sum(), 1) + EVEN * even
