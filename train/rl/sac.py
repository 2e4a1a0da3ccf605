"""Soft actor-critic (SAC): targets, losses and update (Haarnoja et al., arXiv 1801.01290 and 1812.05905).

Twin critics with slowly following targets, and a temperature that is tuned so that the policy keeps an
entropy of -1 nat for every action dimension. The three losses share no gradients, so that one step of one
Adam serves them all.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float

from jaxrm.types import Pose
from train.rl import replay
from train.rl.config import PolicyConfig
from train.rl.learner import Experience, TrainState, split_shards
from train.rl.networks import Actor, TwinCritic
from train.rl.rewards import scale_rewards
from train.sums import AXIS, means

TARGET_ENTROPY = -1.0  # nats for every action dimension (arXiv 1812.05905, appendix D)
FIGURES = ("critic_loss", "policy_loss", "q", "entropy", "temperature", "grad_norm", "updates")


class Batch(NamedTuple):
    """What an update learns from; leading axes are free. `weight` is 1, or 0 for what must not count."""

    obs: Float[Array, "*batch obs"]
    action: Float[Array, "*batch action"]
    reward: Float[Array, "*batch"]
    next_obs: Float[Array, "*batch obs"]
    terminated: Bool[Array, "*batch"]
    weight: Float[Array, "*batch"]


class SacState(NamedTuple):
    """What only the update needs: Adam's moments, and the critics that the targets are made with."""

    adam: Any
    target: Any


@dataclasses.dataclass(frozen=True)
class Sac:
    """The learner; implements `train.rl.learner.Learner`. Its memory is a replay of compact rows."""

    config: PolicyConfig
    networks: TwinCritic
    action_size: int
    figures: tuple[str, ...] = FIGURES

    @property
    def actor(self) -> Actor:
        return self.networks.actor

    @property
    def optimizer(self) -> optax.GradientTransformation:
        config = self.config
        if not config.decay:
            return optax.adam(config.learning_rate)
        idle = max(0, -(-config.learning_starts // config.steps_per_iteration) - 1)
        updates = max(1, config.iterations - idle) * config.updates_per_iteration
        return optax.adam(optax.linear_schedule(config.learning_rate, 0.0, updates))

    def init(self, key: Array) -> tuple[Any, Any]:
        params = self.networks.init(key)
        params["log_temperature"] = jnp.log(jnp.asarray(self.config.temperature, jnp.result_type(float)))
        # a copy: donated arrays must not be two parts of the state at once
        return params, SacState(self.optimizer.init(params), jax.tree.map(jnp.copy, params["critic"]))

    def init_memory(self, obs: Any, pose: Pose) -> replay.Replay:
        number, flag = jax.ShapeDtypeStruct((), obs.dtype), jax.ShapeDtypeStruct((), jnp.bool_)
        action = jax.ShapeDtypeStruct((self.action_size,), obs.dtype)
        row = replay.Rows(obs, action, number, obs, flag, flag, pose)  # type: ignore[arg-type]
        return replay.empty(row, self.config.num_shards, self.config.replay_size // self.config.num_shards)

    def explore(self, state: TrainState, obs: Array, noise: Array) -> tuple[Array, Any]:
        """Samples of the policy; before learning starts, uniform actions."""
        _, action, _ = self.actor.draw(state.params["policy"], state.obs_stats, obs, noise)
        started = state.iteration * self.config.steps_per_iteration >= self.config.learning_starts
        action = jnp.where(started, action, jax.scipy.special.erf(noise / np.sqrt(2.0)))
        return action, action

    def learn(
        self, state: TrainState, experience: Experience, keys: Array
    ) -> tuple[Any, Any, Any, dict[str, Array]]:
        steps, shards = experience.steps, keys.shape[0]
        rows = replay.Rows(
            steps.obs,
            steps.taken,
            experience.scores,
            steps.next_obs,
            steps.terminated,
            experience.valid,
            steps.pose,
        )
        memory = replay.insert(state.memory, jax.tree.map(lambda x: split_shards(x, shards), rows))
        started = (state.iteration + 1) * self.config.steps_per_iteration >= self.config.learning_starts
        count = jnp.where(started, self.config.updates_per_iteration, 0)
        params, opt_state, figures = self.update(state, memory, keys, count)
        return params, opt_state, memory, figures

    def update(
        self, state: TrainState, memory: replay.Replay, keys: Array, count: Array
    ) -> tuple[Any, Any, dict[str, Array]]:
        """`count` gradient steps, each on a fresh batch to which every shard gives an equal part.

        Returns:
          Parameters, optimiser state, and figures as means over the steps: NaN where there were none.
        """

        def on_step(index: Array, carry: tuple[Any, SacState, dict[str, Array]]) -> Any:
            params, opt_state, sums = carry
            mine = jax.vmap(lambda key: jax.random.split(jax.random.fold_in(key, index)))(keys)
            batch = self.draw_batch(state, memory, mine[:, 0])
            shape = (2, *batch.obs.shape[1:-1], self.action_size)
            noise = jax.vmap(lambda key: jax.random.normal(key, shape, batch.obs.dtype))(mine[:, 1])
            params, opt_state, figures = self.step(params, opt_state, state.obs_stats, batch, noise, AXIS)
            return params, opt_state, {name: sums[name] + figures[name] for name in sums}

        nothing = {name: jnp.zeros((), state.worlds.obs.dtype) for name in FIGURES if name != "updates"}
        start = (state.params, state.opt_state, nothing)
        params, opt_state, sums = jax.lax.fori_loop(0, count, on_step, start)
        means = {name: value / count for name, value in sums.items()}
        return params, opt_state, means | {"updates": count}

    def draw_batch(self, state: TrainState, memory: replay.Replay, keys: Array) -> Batch:
        """Rewards are normalised as of now, whenever their rows were written."""
        rows = replay.sample(memory, keys, self.config.batch_size // self.config.num_shards)
        reward = scale_rewards(self.config, state.reward_stats, rows.score, rows.terminated)
        weight = rows.valid.astype(reward.dtype)
        return Batch(rows.obs, rows.action, reward, rows.next_obs, rows.terminated, weight)

    def step(
        self, params: Any, opt_state: SacState, stats: Any, batch: Batch, noise: Array, axis: str | None
    ) -> tuple[Any, SacState, dict[str, Array]]:
        """One gradient step of everything, then the targets follow by `tau`."""
        gradient = jax.grad(sac_loss, has_aux=True)
        grads, figures = gradient(
            params,
            opt_state.target,
            self.networks,
            stats,
            batch,
            noise,
            gamma=self.config.gamma,
            target_entropy=TARGET_ENTROPY * self.action_size,
        )
        grads, figures = means((grads, figures), batch.weight, axis)
        figures["temperature"] = jnp.exp(params["log_temperature"])
        if not self.config.tune_temperature:
            grads["log_temperature"] = jnp.zeros_like(grads["log_temperature"])
        updates, adam = self.optimizer.update(grads, opt_state.adam, params)
        params = optax.apply_updates(params, updates)
        target = optax.incremental_update(params["critic"], opt_state.target, self.config.tau)
        return params, SacState(adam, target), figures | {"grad_norm": optax.tree.norm(grads)}


def soft_targets(
    rewards: Float[Array, "*batch"],
    terminated: Bool[Array, "*batch"],
    next_values: Float[Array, "*batch 2"],
    next_log_prob: Float[Array, "*batch"],
    *,
    temperature: Float[Array, ""] | float,
    gamma: float,
) -> Float[Array, "*batch"]:
    """r + gamma (min_i Q_i(s', a') - temperature log pi(a'|s')), and r alone where the episode terminated.

    Args:
      rewards: of the state s' that the step reached.
      terminated: not where a time limit came: s' is then the true final state, and its value counts.
    """
    soft = jnp.min(next_values, axis=-1) - temperature * next_log_prob
    return rewards + gamma * jnp.where(terminated, 0.0, soft)


def sac_loss(
    params: Any,
    target: Any,
    networks: TwinCritic,
    stats: Any,
    batch: Batch,
    noise: Float[Array, "shards 2 batch action"],
    *,
    gamma: float,
    target_entropy: float,
) -> tuple[Array, dict[str, Array]]:
    """The critics', the policy's and the temperature's loss: a sum over a batch [shards, batch, ...].

    `noise` draws the next and the present action.

    Returns:
      The sum, and the sum of each figure.
    """
    frozen = jax.lax.stop_gradient(params)
    temperature = jnp.exp(frozen["log_temperature"])

    _, next_action, next_log_prob = networks.actor.draw(frozen["policy"], stats, batch.next_obs, noise[:, 0])
    next_values = networks.values(target, stats, batch.next_obs, next_action)
    wanted = soft_targets(
        batch.reward, batch.terminated, next_values, next_log_prob, temperature=temperature, gamma=gamma
    )
    values = networks.values(params["critic"], stats, batch.obs, batch.action)
    critic_loss = 0.5 * jnp.sum((values - wanted[..., None]) ** 2, axis=-1)

    _, action, log_prob = networks.actor.draw(params["policy"], stats, batch.obs, noise[:, 1])
    own_values = networks.values(frozen["critic"], stats, batch.obs, action)
    policy_loss = temperature * log_prob - jnp.min(own_values, axis=-1)
    # of the logarithm, as in the authors' code: the pull does not fade as the temperature falls
    temperature_loss = -params["log_temperature"] * jax.lax.stop_gradient(log_prob + target_entropy)

    figures = {
        "critic_loss": critic_loss,
        "policy_loss": policy_loss,
        "q": jnp.mean(values, axis=-1),
        "entropy": -log_prob,
    }
    loss = jnp.sum(batch.weight * (critic_loss + policy_loss + temperature_loss))
    return loss, {name: jnp.sum(batch.weight * jax.lax.stop_gradient(x)) for name, x in figures.items()}
