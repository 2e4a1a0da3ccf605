"""How far a film has come with an instruction, frame by frame, as an oracle sees it.

A policy is paid for every prefix of its episode, so that an interface has to rank prefixes too: one after
which the first of two actions is done above the beginning, and a body that has fallen below one that stands.
On the way to where an action ends the level rises evenly, or a policy would search in the dark; getting there
counts as much as the way, or it would stop before; and within the tolerance the level rises on, or it would
stop where the tolerance begins, and miss in one episode of two.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from envs.humanoid.instructions import ACTIONS, NUMBERS, action_table
from envs.humanoid.motion_truth import (
    EARLY,
    ENDS,
    TOLERANCE,
    Signs,
    carried_out,
    facing,
    far_from,
    share_gone,
    share_turned,
)
from jaxrm.rewards.protocols import told_apart

DONE, HALF, BEGUN = 4.0, 2.0, 0.0  # levels; one less where the body lies
REACH = 0.5  # of the way to the next level: what a body gets that goes it and does not get there
EXACT = 0.5  # level that is for meeting the bounds of the end themselves, not within the tolerance alone
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
    """Of each prefix of one film: `DONE` where it carries out the instruction, up to `EXACT` less where its
    end is met within the tolerance alone; from `HALF` on where the first of two actions was done, else from
    `BEGUN` on, and higher by the share of the way to the next end; one less where the body lies and has not
    done it. Pure, callers `vmap`."""
    prefixes = jnp.tril(jnp.ones((len(mask), len(mask)), bool)) & mask

    def done(which: Int[Array, ""]) -> Bool[Array, "t"]:
        return jax.vmap(lambda mask: carried_out(signs, mask, which))(prefixes)

    one, other = jnp.asarray(action_table())[which]
    two = other >= 0
    first = jax.lax.cummax(done(jnp.asarray(_FIRST)[which]).astype(jnp.int32)) > 0
    begun = BEGUN + jnp.where(two, HALF, DONE) * REACH * _share(signs, mask, one, mask, EARLY)
    half = HALF + (DONE - HALF) * REACH * _share(signs, mask, other, first, 1.0)
    end = jnp.asarray(ENDS)[jnp.where(two, other, one), 1]
    missed = jnp.clip(far_from(signs.near[:, end]) / TOLERANCE, 0.0, 1.0)[_last(mask)]
    return jnp.where(done(which), DONE - EXACT * missed, jnp.where(two & first, half, begun) - lying)


def is_done(levels: Float[Array, "*batch"]) -> Bool[Array, "*batch"]:
    """Whether prefixes of these levels carry out their instruction, be it within the tolerance alone."""
    return levels >= DONE - EXACT


def _last(mask: Bool[Array, "t"]) -> Int[Array, "t"]:
    """The last real frame up to each: a masked one changes nothing."""
    return jax.lax.cummax(jnp.where(mask, jnp.arange(len(mask)), 0))


def _share(
    signs: Signs, mask: Bool[Array, "t"], action: Int[Array, ""], on: Bool[Array, "t"], early: float
) -> Float[Array, "t"]:
    """The share of its way that an action has gone after it began, 0 to 1.

    Args:
      on: where it may begin.
      early: share of a prefix in which it must.
    """
    start, end = jnp.asarray(ENDS)[action]
    starts = signs.holds[:, start] & mask & on
    rank, frame = jnp.cumsum(mask) - 1, jnp.arange(len(mask))
    first = jnp.where(starts.any(), jnp.argmax(starts), len(mask))
    began = (frame >= first) & (rank[first] <= early * rank)  # behind the end an index means the last frame
    turned = jnp.clip(share_turned(action, facing(signs.heading, mask), frame >= first), 0.0, 1.0)
    near = signs.near[:, end]
    gone = share_gone(near, far_from(near)[first])
    return jnp.where(began, gone * turned, 0.0)[_last(mask)]


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
