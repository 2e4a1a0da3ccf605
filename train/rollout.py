"""Worlds in time: the unroll of a policy, and scores spread over it."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from envs.types import Env, State, reset_where_done
from jaxrm.types import Pose
from train.networks import ActorCritic


class Transition(NamedTuple):
    """One step, or [time, envs] of them.

    `next_obs`, `pose` and `truth` are of the state that the step reached, before any reset: the
    last state of an episode is its true last one. `valid` is False where numbers went bad.
    """

    obs: Float[Array, "*batch obs"]
    action: Float[Array, "*batch action"]
    log_prob: Float[Array, "*batch"]
    next_obs: Float[Array, "*batch obs"]
    pose: Pose
    truth: Float[Array, "*batch"]
    terminated: Bool[Array, "*batch"]
    truncated: Bool[Array, "*batch"]
    valid: Bool[Array, "*batch"]


def reset_worlds(env: Env, keys: Array) -> State:
    """One world a key, physics in full precision."""
    with jax.default_matmul_precision("highest"):
        return jax.vmap(env.reset)(keys)


def stagger(env: Env, worlds: State, keys: Array) -> State:
    """Gives each world's first episode a length of its own, so that time limits do not coincide."""
    times = jax.vmap(lambda key: jax.random.randint(key, (), 0, env.episode_length))(keys)
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


def unroll(
    env: Env,
    networks: ActorCritic,
    params: Any,
    stats: Any,
    worlds: State,
    fresh: State,
    noise: Float[Array, "time envs action"],
) -> tuple[State, Transition]:
    """`time` steps of the sampled policy. Worlds whose episode ends go on from `fresh`."""

    def on_step(worlds: State, noise: Array) -> tuple[State, Transition]:
        head = networks.policy_head(params, stats, worlds.obs)
        normal: Any = networks.actions.create_dist(head)
        raw = normal.loc + normal.scale * noise
        after, valid = step_worlds(env, worlds, networks.actions.postprocess(raw))
        transition = Transition(
            obs=worlds.obs,
            action=raw,
            log_prob=networks.actions.log_prob(head, raw),
            next_obs=after.obs,
            pose=jax.vmap(env.pose)(after),
            truth=after.reward,
            terminated=after.terminated,
            truncated=after.truncated,
            valid=valid,
        )
        return reset_where_done(after, fresh), transition

    return jax.lax.scan(on_step, worlds, noise)


def scored_steps(length: int, every: int) -> range:
    """The steps of an unroll that are scored: every `every`-th, the last one included."""
    return range(every - 1, length, every)


def spread_scores(
    scores: Float[Array, "scored envs"], done: Bool[Array, "time envs"], every: int
) -> Float[Array, "time envs"]:
    """Scores of `scored_steps` spread over all steps, by lines within an episode.

    A step between two scored steps of its own episode gets the point on the line between them;
    where only one of them belongs to its episode, that one's score; where none does, the later
    one's, which exists always.
    """
    if every == 1:
        return scores
    length = done.shape[0]
    before_step = jnp.concatenate([jnp.zeros_like(done[:1]), done[:-1]])
    episode = jnp.cumsum(before_step, axis=0, dtype=jnp.int32)
    step = jnp.arange(length)
    later = step // every
    earlier = jnp.maximum(later - 1, 0)
    same_later = episode[later * every + every - 1] == episode
    same_earlier = (episode[earlier * every + every - 1] == episode) & (later > 0)[:, None]
    fraction = (((step + 1) % every) / every).astype(scores.dtype)
    fraction = jnp.where((step + 1) % every == 0, 1.0, fraction)[:, None]
    fraction = jnp.where(same_later & same_earlier, fraction, jnp.where(same_earlier, 0.0, 1.0))
    mixed = scores[earlier] * (1 - fraction) + scores[later] * fraction
    return jnp.where(fraction == 0, scores[earlier], jnp.where(fraction == 1, scores[later], mixed))
