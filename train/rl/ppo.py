"""Proximal policy optimisation (PPO): advantages, loss and update (Schulman et al., arXiv 1707.06347).

Samples carry a weight: 0 takes them out of every mean. Functions that average take the name of
the mesh axis over which samples are spread, or None.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

from jaxrm.types import Pose
from train.rl.config import PolicyConfig
from train.rl.learner import Experience, TrainState, split_shards
from train.rl.networks import Actor, ActorCritic
from train.rl.rewards import scale_rewards
from train.sums import AXIS, means, weighted_mean

FIGURES = ("policy_loss", "value_loss", "entropy", "kl", "clipped", "grad_norm")


@dataclasses.dataclass(frozen=True)
class Ppo:
    """The learner; implements `train.rl.learner.Learner`. It remembers nothing beyond an unroll."""

    config: PolicyConfig
    networks: ActorCritic
    figures: tuple[str, ...] = FIGURES

    @property
    def actor(self) -> Actor:
        return self.networks.actor

    @property
    def optimizer(self) -> optax.GradientTransformation:
        config = self.config
        steps = config.iterations * config.epochs * config.minibatches if config.decay else None
        return make_optimizer(config.learning_rate, config.max_grad_norm, steps)

    def init(self, key: Array) -> tuple[Any, Any]:
        params = self.networks.init(key)
        return params, self.optimizer.init(params)

    def init_memory(self, obs: Any, pose: Pose) -> Any:
        return ()

    def explore(self, state: TrainState, obs: Array, noise: Array) -> tuple[Array, Any]:
        raw, action, log_prob = self.actor.draw(state.params["policy"], state.obs_stats, obs, noise)
        return action, (raw, log_prob)

    def learn(
        self, state: TrainState, experience: Experience, keys: Array
    ) -> tuple[Any, Any, Any, dict[str, Array]]:
        config, shards = self.config, keys.shape[0]
        samples = self.make_samples(state, experience)
        params, opt_state, figures = update(
            state.params,
            state.opt_state,
            state.obs_stats,
            jax.tree.map(lambda x: split_shards(x, shards), samples),
            keys,
            networks=self.networks,
            optimizer=self.optimizer,
            costs=LossCosts(config.clip, config.value_cost, config.entropy_cost),
            epochs=config.epochs,
            minibatches=config.minibatches,
            axis=AXIS,
        )
        return params, opt_state, (), figures

    def make_samples(self, state: TrainState, experience: Experience) -> "Samples":
        """What the update learns from, [time, envs, ...]."""
        steps, valid = experience.steps, experience.valid
        advantages, targets = generalized_advantages(
            scale_rewards(self.config, state.reward_stats, experience.scores, steps.terminated),
            self.networks.values(state.params, state.obs_stats, steps.obs),
            self.networks.values(state.params, state.obs_stats, steps.next_obs),
            steps.terminated,
            steps.truncated,
            valid,
            gamma=self.config.gamma,
            gae_lambda=self.config.gae_lambda,
        )
        weight = valid.astype(advantages.dtype)
        advantages = normalize_advantages(advantages, weight, AXIS)
        raw, log_prob = steps.taken
        return Samples(steps.obs, raw, log_prob, advantages, targets, weight)


class Samples(NamedTuple):
    """What an update learns from; leading axes are free.

    Attributes:
      obs: what the policy saw.
      action: what it did, before squashing.
      log_prob: of that action when it was taken.
      advantage: normalised.
      target: of the value function.
      weight: 1, or 0 for a sample that must not count.
    """

    obs: Float[Array, "*batch obs"]
    action: Float[Array, "*batch action"]
    log_prob: Float[Array, "*batch"]
    advantage: Float[Array, "*batch"]
    target: Float[Array, "*batch"]
    weight: Float[Array, "*batch"]


class LossCosts(NamedTuple):
    """Clipping range of the probability ratio, and what value error and entropy weigh."""

    clip: float
    value: float
    entropy: float


def generalized_advantages(
    rewards: Float[Array, "time envs"],
    values: Float[Array, "time envs"],
    next_values: Float[Array, "time envs"],
    terminated: Bool[Array, "time envs"],
    truncated: Bool[Array, "time envs"],
    valid: Bool[Array, "time envs"],
    *,
    gamma: float,
    gae_lambda: float,
) -> tuple[Float[Array, "time envs"], Float[Array, "time envs"]]:
    """Advantages (Schulman et al., arXiv 1506.02438) and targets of the value function.

    Args:
      rewards: of the state that each step reached, before any reset.
      values: of the state that each step left.
      next_values: of the state that each step reached, before any reset; so a truncated episode
        is continued by the value of its true final state, and a terminated one by nothing.
      terminated, truncated: whether the episode ended at this step.
      valid: False for steps whose numbers mean nothing; their advantage is 0 and nothing passes
        over them.
    """
    rewards, values, next_values = (jnp.where(valid, x, 0.0) for x in (rewards, values, next_values))
    deltas = rewards + gamma * jnp.where(terminated, 0.0, next_values) - values
    carries_on = valid & ~(terminated | truncated)

    def back(advantage: Array, step: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        delta, goes_on, is_valid = step
        advantage = jnp.where(is_valid, delta + gamma * gae_lambda * jnp.where(goes_on, advantage, 0.0), 0.0)
        return advantage, advantage

    start = jnp.zeros_like(deltas[0])
    _, advantages = jax.lax.scan(back, start, (deltas, carries_on, valid), reverse=True)
    return advantages, advantages + values


def normalize_advantages(advantages: Array, weight: Array, axis: str | None) -> Array:
    mean = weighted_mean(advantages, weight, axis)
    variance = weighted_mean((advantages - mean) ** 2, weight, axis)
    return (advantages - mean) / (jnp.sqrt(variance) + 1e-8)


def ppo_loss(
    params: Any,
    networks: ActorCritic,
    stats: Any,
    samples: Samples,
    noise_key: Array,
    costs: LossCosts,
) -> tuple[Array, dict[str, Array]]:
    """The loss, summed over samples by weight.

    Args:
      samples: [shards, batch, ...].
      noise_key: one key a shard, uint32 [shards, 2], for the sampled entropy.

    Returns:
      The sum, and the sum of each figure.
    """
    actions = networks.actor.actions
    head = networks.actor.head(params["policy"], stats, samples.obs)
    log_ratio = actions.log_prob(head, samples.action) - samples.log_prob
    ratio = jnp.exp(log_ratio)
    clipped = jnp.clip(ratio, 1.0 - costs.clip, 1.0 + costs.clip)
    policy_loss = -jnp.minimum(ratio * samples.advantage, clipped * samples.advantage)
    value_loss = 0.5 * (networks.values(params, stats, samples.obs) - samples.target) ** 2
    entropy = jax.vmap(actions.entropy)(head, noise_key)
    loss = jnp.sum(samples.weight * (policy_loss + costs.value * value_loss - costs.entropy * entropy))
    figures = {
        "policy_loss": policy_loss,
        "value_loss": value_loss,
        "entropy": entropy,
        "kl": ratio - 1.0 - log_ratio,
        "clipped": (jnp.abs(ratio - 1.0) > costs.clip).astype(ratio.dtype),
    }
    return loss, {name: jnp.sum(samples.weight * jax.lax.stop_gradient(x)) for name, x in figures.items()}


def update(
    params: Any,
    opt_state: Any,
    stats: Any,
    samples: Samples,
    keys: Array,
    *,
    networks: ActorCritic,
    optimizer: optax.GradientTransformation,
    costs: LossCosts,
    epochs: int,
    minibatches: int,
    axis: str | None = None,
) -> tuple[Any, Any, dict[str, Array]]:
    """Several epochs of minibatches, shuffled inside each shard.

    Args:
      samples: [shards, count, ...]; every shard gives an equal part of every minibatch.
      keys: uint32 [shards, 2], consumed.

    Returns:
      parameters, optimiser state, and the last epoch's figures.
    """
    count = samples.weight.shape[1]
    gradient = jax.grad(ppo_loss, has_aux=True)

    def on_minibatch(carry: tuple[Any, Any], batch: tuple[Samples, Array]) -> tuple[Any, dict[str, Array]]:
        params, opt_state = carry
        minibatch, noise_keys = batch
        sums = gradient(params, networks, stats, minibatch, noise_keys, costs)
        grads, figures = means(sums, minibatch.weight, axis)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        figures["grad_norm"] = optax.tree.norm(grads)
        return (optax.apply_updates(params, updates), opt_state), figures

    def on_epoch(carry: tuple[Any, Any], keys: Array) -> tuple[Any, dict[str, Array]]:
        shuffle_keys, noise_keys = keys[:, 0], keys[:, 1]
        order = jax.vmap(lambda key: jax.random.permutation(key, count))(shuffle_keys)

        def deal(x: Array) -> Array:
            x = jax.vmap(lambda rows, picks: rows[picks])(x, order)
            return x.reshape(x.shape[0], minibatches, -1, *x.shape[2:]).swapaxes(0, 1)

        noise_keys = jax.vmap(lambda key: jax.random.split(key, minibatches))(noise_keys).swapaxes(0, 1)
        return jax.lax.scan(on_minibatch, carry, (jax.tree.map(deal, samples), noise_keys))

    epoch_keys = jax.vmap(lambda key: jax.random.split(key, (epochs, 2)))(keys).swapaxes(0, 1)
    (params, opt_state), figures = jax.lax.scan(on_epoch, (params, opt_state), epoch_keys)
    return params, opt_state, jax.tree.map(lambda x: jnp.mean(x[-1]), figures)


def make_optimizer(
    learning_rate: float, max_grad_norm: float, decay_steps: int | None
) -> optax.GradientTransformation:
    """Adam after clipping by the global norm; with `decay_steps`, the rate falls linearly to 0."""
    rate = learning_rate if decay_steps is None else optax.linear_schedule(learning_rate, 0.0, decay_steps)
    return optax.chain(optax.clip_by_global_norm(max_grad_norm), optax.adam(rate, eps=1e-5))
