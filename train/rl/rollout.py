"""Worlds in time: the unroll of a policy, and scores spread over it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from envs.types import Env, State, past_of, reset_where_done
from jaxrm.types import Pose

# (obs [envs, observation], noise [envs, action]) -> actions in [-1, 1] and what to keep of them
Explore = Callable[[Array, Array], tuple[Array, Any]]


class Transition(NamedTuple):
    """One step, or [time, envs] of them.

    `next_obs`, `pose` and `truth` are of the state that the step reached, before any reset: the
    last state of an episode is its true last one. `taken` is what the learner keeps of its action,
    leaves [*batch, ...]. `valid` is False where numbers went bad. `past` is what success depends on besides
    the pose, see `envs.types.past_of`.
    """

    obs: Float[Array, "*batch obs"]
    taken: Any
    next_obs: Float[Array, "*batch obs"]
    pose: Pose
    truth: Float[Array, "*batch"]
    terminated: Bool[Array, "*batch"]
    truncated: Bool[Array, "*batch"]
    valid: Bool[Array, "*batch"]
    past: tuple[Any, ...] = ()


def reset_worlds(env: Env, keys: Array) -> State:
    """One world a key, physics in full precision."""
    with jax.default_matmul_precision("highest"):
        return jax.vmap(env.reset)(keys)


def stagger(env: Env, worlds: State, keys: Array, stride: int = 1) -> State:
    """Gives each world's first episode a length of its own, so that time limits do not coincide.

    `stride` divides it: a reward that looks every so many steps then sees the end of each episode.
    """
    latest = env.episode_length // stride
    times = stride * jax.vmap(lambda key: jax.random.randint(key, (), 0, latest))(keys)
    return worlds._replace(time=times.astype(worlds.time.dtype))


def step_worlds(env: Env, worlds: State, actions: Array) -> tuple[State, Bool[Array, "envs"]]:
    """A step of every world; where anything that a learner reads went bad, the world ends.

    Returns:
      The states, all finite where a learner looks, and whether the step counts: it does not where
      the environment reset a NaN world, or where it let one through.
    """
    with jax.default_matmul_precision("highest"):
        after = jax.vmap(env.step)(worlds, actions)
    finite = jnp.all(jnp.isfinite(after.obs), axis=-1) & jnp.isfinite(after.reward)
    was_reset = after.info["nan_resets"] > worlds.info["nan_resets"]
    info = {**after.info, "nan_resets": after.info["nan_resets"] + (~finite & ~was_reset)}
    after = after._replace(
        obs=jnp.where(finite[:, None], after.obs, 0.0),
        reward=jnp.where(finite, after.reward, 0.0),
        terminated=after.terminated | ~finite,
        info=info,
    )
    return after, finite & ~was_reset


def successes(env: Env, poses: Pose, past: tuple[Any, ...]) -> Bool[Array, "envs"]:
    """Where the predicate holds, in full precision; `past` as in `Transition`."""
    with jax.default_matmul_precision("highest"):
        return jax.vmap(lambda pose, past: env.success(pose, *past))(poses, past)


def unroll(
    env: Env,
    explore: Explore,
    worlds: State,
    fresh: State,
    noise: Float[Array, "time envs action"],
) -> tuple[State, Transition]:
    """`time` steps of `explore`. Worlds whose episode ends go on from `fresh`."""

    def on_step(worlds: State, noise: Array) -> tuple[State, Transition]:
        action, taken = explore(worlds.obs, noise)
        after, valid = step_worlds(env, worlds, action)
        transition = Transition(
            obs=worlds.obs,
            taken=taken,
            next_obs=after.obs,
            pose=jax.vmap(env.pose)(after),
            truth=after.reward,
            terminated=after.terminated,
            truncated=after.truncated,
            valid=valid,
            past=jax.vmap(lambda state: past_of(env, state))(after),
        )
        return reset_where_done(after, fresh), transition

    return jax.lax.scan(on_step, worlds, noise)


def scored_steps(length: int, every: int) -> range:
    """The steps of an unroll that are scored: every `every`-th, the last one included."""
    return range(every - 1, length, every)


def first_looks(done: Bool[Array, "time envs"], every: int) -> Bool[Array, "scored envs"]:
    """Which of `scored_steps` are the first of their episode; none is where it began before."""
    ends = done.reshape(-1, every, done.shape[1])
    before = jnp.concatenate([jnp.zeros_like(ends[:1, -1]), ends[:-1, -1]])
    return before | ends[:, :-1].any(axis=1)


def spread_scores(
    scores: Float[Array, "scored envs"],
    done: Bool[Array, "time envs"],
    every: int,
    before: Float[Array, "envs"],
    between: str = "linear",
) -> Float[Array, "time envs"]:
    """Scores of `scored_steps` spread over all steps; a score never leaves its episode.

    A step between two scored steps of its own episode gets the point on the line between them, or with
    `between="hold"` the earlier score; where only one of them belongs to its episode, that one's. By "zero"
    it gets 0, for scores that are of all the time since the last one.

    Args:
      before: the last score before the unroll, of the episode that goes on in it; NaN where there is none.
        As between two scored steps, a line leads from it to the first one.

    Returns:
      NaN where no score belongs to the step's episode.
    """
    if every == 1:
        return scores
    length = done.shape[0]
    if between == "zero":
        return jnp.zeros(done.shape, scores.dtype).at[every - 1 :: every].set(scores)
    before_step = jnp.concatenate([jnp.zeros_like(done[:1]), done[:-1]])
    episode = jnp.cumsum(before_step, axis=0, dtype=jnp.int32)
    step = jnp.arange(length)
    later = step // every
    earlier = jnp.maximum(later - 1, 0)
    first = (later == 0)[:, None]
    same_later = episode[later * every + every - 1] == episode
    same_earlier = jnp.where(
        first, (episode == 0) & jnp.isfinite(before), episode[earlier * every + every - 1] == episode
    )
    earlier_score = jnp.where(first, before, scores[earlier])
    fraction = (((step + 1) % every) / every).astype(scores.dtype)[:, None]
    fraction = fraction if between == "linear" else jnp.zeros_like(fraction)
    fraction = jnp.where(((step + 1) % every == 0)[:, None], 1.0, fraction)
    fraction = jnp.where(same_later & same_earlier, fraction, jnp.where(same_earlier, 0.0, 1.0))
    mixed = earlier_score * (1 - fraction) + scores[later] * fraction
    spread = jnp.where(fraction == 0, earlier_score, jnp.where(fraction == 1, scores[later], mixed))
    return jnp.where(same_earlier | same_later, spread, jnp.nan)


def last_scores(spread: Float[Array, "time envs"], done: Bool[Array, "time envs"]) -> Float[Array, "envs"]:
    """What the next unroll takes as `before`."""
    return jnp.where(done[-1], jnp.nan, spread[-1])
