"""Was an instruction carried out? Judged on the states of a trajectory, not on how they came about.

An action begins in one condition of the body and ends in another. It is carried out where the first holds
early, the last at the end, and those between in order: a trajectory that is reversed, cut short, frozen, or
that falls over in the physics, is judged by the same numbers.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from envs.criteria import INF, Bound, miss
from envs.humanoid.concepts import POSTURES
from envs.humanoid.env import Humanoid
from envs.humanoid.instructions import ACTIONS, STEADY, Action, action_table
from envs.humanoid.measure import Measures

EARLY = 0.4  # share of the frames in which the start must show
TOLERANCE = 0.4  # of the bounds, in units of their slack: bodies in motion are less exact than those at rest
TURN = np.deg2rad(40.0)  # rad, least turn of the torso about the vertical
FAR = 1.0  # in units of the bounds' slack: a body that begins nearer to an end has no way to go
_RIGHT, _LEFT = 0, 1  # in the order of the measures


def _up(side: int) -> Bound:
    """Beside the head will do, where postures ask for above its top: the interface that comes with us has
    learnt from films that were told apart so."""
    return Bound("hand above the head", lambda m: m.hands_above_head[side], 0.0, INF, 0.15)


def _down(side: int) -> Bound:
    return Bound("hand below the shoulder", lambda m: m.hands_above_shoulders[side], -INF, -0.1, 0.1)


def _posture(legs: str) -> tuple[Bound, ...]:
    """Who sits in these films has its legs ahead."""
    return POSTURES["legs-ahead" if legs == "sitting" else legs]


def _unsteady(measures: Measures) -> Float[Array, ""]:
    """How far the body is from the nearest posture in which arms may move."""
    return jnp.stack([miss(_posture(legs), measures) for legs in STEADY]).min()


# of arms too: else a body would have raised them that lies, or drops to the floor meanwhile
_STEADY = Bound("stands, kneels or sits", _unsteady, -INF, 0.0, 1.0)
# What can begin or end an action. `facing` does the same for turns, whose end lies in the past as well.
CONDITIONS: dict[str, tuple[Bound, ...]] = {
    "standing": POSTURES["standing"],
    # within the tolerance a body that sits low on its heels is no other than one with its legs ahead
    "kneeling": (
        *POSTURES["kneeling"],
        Bound("feet behind", lambda m: m.ankle_ahead, -INF, 0.2, 0.2),
    ),
    "sitting": _posture("sitting"),
    "bending": POSTURES["bending"],
    "left leg up": POSTURES["right-leg"],  # stands on the right one
    "right leg up": POSTURES["left-leg"],
    "down": (_down(_RIGHT), _down(_LEFT), _STEADY),
    "left": (_up(_LEFT), _down(_RIGHT), _STEADY),
    "right": (_up(_RIGHT), _down(_LEFT), _STEADY),
    "both": (_up(_RIGHT), _up(_LEFT), _STEADY),
}
_NAMES = tuple(CONDITIONS)
_LEGS = {
    "kneel": ("standing", "kneeling"),
    "get up": ("kneeling", "standing"),
    "sit": ("standing", "sitting"),
    "stand up": ("sitting", "standing"),
    "bow": ("standing", "bending"),
    "straighten": ("bending", "standing"),
    "turn": ("standing", "standing"),
}


def ends(action: Action) -> tuple[str, str]:
    """Names of the conditions in which an action begins and ends."""
    if action.verb in _LEGS:
        return _LEGS[action.verb]
    low, high = ("down", action.side) if action.part == "arm" else ("standing", f"{action.side} leg up")
    return (low, high) if action.verb == "raise" else (high, low)


ENDS = np.array([[_NAMES.index(name) for name in ends(action)] for action in ACTIONS])
_TURNS = np.array([{"left": 1, "right": -1}[a.side] if a.verb == "turn" else 0 for a in ACTIONS])


class Signs(NamedTuple):
    """What judging needs of each frame: which of `CONDITIONS` hold, and where the torso faces, rad; and how
    near each of them is, 0 to 1, which judges nothing.

    Frames may be put in another order (`jaxrm.metrics.reorder`) and judged again, without their states.
    """

    holds: Bool[Array, "*batch t conditions"]
    heading: Float[Array, "*batch t"]
    near: Float[Array, "*batch t conditions"]


def signs(env: Humanoid, qpos: Float[Array, "t nq"]) -> Signs:
    """Reads one trajectory."""

    return jax.vmap(lambda qpos: signs_of(env.measures(env.pose_at(qpos)), qpos))(qpos)


def signs_of(measures: Measures, qpos: Float[Array, "nq"]) -> Signs:
    """Of one state that was measured already, without the time axis."""
    far = jnp.stack([miss(bounds, measures) for bounds in CONDITIONS.values()])
    return Signs(far <= TOLERANCE, heading(qpos), jnp.exp(-far))


def far_from(near: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """How far a state is from a condition of `Signs.near`, in units of its bounds' slack."""
    return -jnp.log(jnp.maximum(near, 1e-30))


def share_gone(
    near: Float[Array, "*batch"], whole: Float[Array, "*#batch"], least: float = 0.0
) -> Float[Array, "*batch"]:
    """The share of its way to a condition that a body has gone, up to 1, which rises evenly on the way.

    Args:
      near: of `Signs`.
      whole: how far it was when it set out.
      least: the share of a body that is farther now; below 0 that it went the other way counts.
    """
    gone = jnp.clip(1 - far_from(near) / jnp.maximum(whole, FAR), least, 1.0)
    return jnp.where(whole > FAR, gone, near)


def heading(qpos: Float[Array, "nq"]) -> Float[Array, ""]:
    """Where the torso faces about the vertical, rad. Told by its left, which stays level while it bows."""
    w, x, y, z = qpos[3:7]
    return jnp.arctan2(-2 * (x * y - w * z), 1 - 2 * (x * x + z * z))


class _Film(NamedTuple):
    """A trajectory as it is judged: `facing` counts all turns, frames outside the mask hold nothing."""

    holds: Bool[Array, "t conditions"]
    facing: Float[Array, "t"]
    mask: Bool[Array, "t"]


def facing(heading: Float[Array, "t"], mask: Bool[Array, "t"]) -> Float[Array, "t"]:
    """How far the torso has turned to its left since the first real frame, rad; whole turns count."""
    # a masked frame faces where the last real one did, or the count of turns would follow it
    places = jax.lax.cummax(jnp.where(mask, jnp.arange(len(mask)), jnp.argmax(mask)))
    yaw = heading[places]
    step = (jnp.diff(yaw, prepend=yaw[:1]) + jnp.pi) % (2 * jnp.pi) - jnp.pi
    return jnp.cumsum(step)


def _film(signs: Signs, mask: Bool[Array, "t"]) -> _Film:
    return _Film(signs.holds & mask[:, None], facing(signs.heading, mask), mask)


def truth(signs: Signs, mask: Bool[Array, "t"]) -> Bool[Array, "instructions"]:
    """Which of `INSTRUCTIONS` one trajectory carries out; pure, callers `vmap`."""
    film = _film(signs, mask)
    return jax.vmap(lambda actions: _does(film, actions))(jnp.asarray(action_table()))


def carried_out(signs: Signs, mask: Bool[Array, "t"], which: Int[Array, ""] | int) -> Bool[Array, ""]:
    """Whether one trajectory does the instruction of this number; pure, callers `vmap`.

    Args:
      mask: which frames belong to the trajectory; one with none does nothing.
    """
    return _does(_film(signs, mask), jnp.asarray(action_table())[which])


def _does(film: _Film, actions: Int[Array, "2"]) -> Bool[Array, ""]:
    """For a row of `action_table`: the earliest frame that will do, for each condition in turn."""
    one, other = actions[0], actions[1]
    ends = jnp.asarray(ENDS)
    t, rank, count = len(film.mask), jnp.cumsum(film.mask) - 1, film.mask.sum()
    last = jnp.max(jnp.where(film.mask, jnp.arange(t), 0))
    begun = _first(film.holds[:, ends[one, 0]] & (rank <= EARLY * (count - 1)), jnp.int32(0))
    ended = _end(film, one, begun)
    first_end = _first(ended, begun + 1)
    again = _first(film.holds[:, ends[other, 0]], first_end)
    second = _end(film, other, again)
    done_one = (first_end < t) & ended[last]
    done_two = (first_end < t) & (again < last) & second[last]
    return (begun < t) & jnp.where(other < 0, done_one, done_two)


def _first(holds: Bool[Array, "t"], start: Int[Array, ""]) -> Int[Array, ""]:
    """The first frame from `start` on where it holds; t where none does."""
    found = holds & (jnp.arange(len(holds)) >= start)
    return jnp.where(found.any(), jnp.argmax(found), len(holds))


def _end(film: _Film, action: Int[Array, ""], start: Int[Array, ""]) -> Bool[Array, "t"]:
    """Where an action that began at `start` has ended."""
    since = film.mask & (jnp.arange(len(film.mask)) >= start)
    turned = share_turned(action, film.facing, since) >= 1
    return film.holds[:, jnp.asarray(ENDS)[action, 1]] & turned & since


def share_turned(
    action: Int[Array, ""], facing: Float[Array, "t"], since: Bool[Array, "t"]
) -> Float[Array, "t"]:
    """How much of its turn an action has done since it may have begun; 1 for an action that is none."""
    turn = jnp.asarray(_TURNS)[action]
    least = jax.lax.cummin(jnp.where(since, turn * facing, jnp.inf))
    return jnp.where(turn == 0, 1.0, (turn * facing - least) / TURN)
