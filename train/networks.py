"""Policy and value networks: brax's builders and distributions, with observations normalised."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from brax.training import distribution, networks
from brax.training.acme import running_statistics
from flax import linen
from jaxtyping import Array, Float

MAX_NORMALIZED = 10.0  # standard deviations; farther observations are clipped

_ACTIVATIONS = {"swish": linen.swish, "tanh": linen.tanh, "relu": linen.relu, "elu": linen.elu}
ACTIVATIONS = tuple(_ACTIVATIONS)
DISTRIBUTIONS = ("tanh-normal", "normal")


class ActorCritic(NamedTuple):
    """Networks as values: parameters and observation statistics are arguments of every call.

    Attributes:
      policy: gives the parameters of the action distribution.
      value: gives the value of an observation.
      actions: brax's distribution; it works on actions before squashing ("raw").
    """

    policy: networks.FeedForwardNetwork
    value: networks.FeedForwardNetwork
    actions: distribution.ParametricDistribution

    def init(self, key: Array) -> dict[str, Any]:
        policy_key, value_key = jax.random.split(key)
        params = {"policy": self.policy.init(policy_key), "value": self.value.init(value_key)}
        return jax.tree.map(lambda x: x.astype(jnp.result_type(float)), params)  # Flax makes float32 only

    def policy_head(self, params: Any, stats: Any, obs: Float[Array, "*batch obs"]) -> Any:
        return self.policy.apply(stats, params["policy"], obs)

    def values(self, params: Any, stats: Any, obs: Float[Array, "*batch obs"]) -> Float[Array, "*batch"]:
        return self.value.apply(stats, params["value"], obs)

    def act(self, params: Any, stats: Any, obs: Float[Array, "*batch obs"], key: Array | None) -> Array:
        """Actions in [-1, 1]: sampled, or the distribution's mode where `key` is None."""
        head = self.policy_head(params, stats, obs)
        return self.actions.mode(head) if key is None else self.actions.sample(head, key)


def make_actor_critic(
    observation_size: int,
    action_size: int,
    *,
    policy_hidden: tuple[int, ...],
    value_hidden: tuple[int, ...],
    activation: str = "swish",
    action_distribution: str = "tanh-normal",
) -> ActorCritic:
    """Two perceptrons that share nothing.

    Raises:
      ValueError: unknown activation or distribution.
    """
    if activation not in _ACTIVATIONS:
        raise ValueError(f"unknown activation {activation!r}: known are {', '.join(ACTIVATIONS)}")
    if action_distribution == "tanh-normal":
        actions = distribution.NormalTanhDistribution(event_size=action_size)
    elif action_distribution == "normal":
        actions = distribution.NormalDistribution(event_size=action_size)
    else:
        raise ValueError(
            f"unknown distribution {action_distribution!r}: known are {', '.join(DISTRIBUTIONS)}"
        )
    policy = networks.make_policy_network(
        actions.param_size,
        observation_size,
        preprocess_observations_fn=_normalize,
        hidden_layer_sizes=policy_hidden,
        activation=_ACTIVATIONS[activation],
        distribution_type="tanh_normal" if action_distribution == "tanh-normal" else "normal",
        noise_std_type="log",
    )
    value = networks.make_value_network(
        observation_size,
        preprocess_observations_fn=_normalize,
        hidden_layer_sizes=value_hidden,
        activation=_ACTIVATIONS[activation],
    )
    return ActorCritic(policy, value, actions)


def init_statistics(example: Array | jax.ShapeDtypeStruct) -> running_statistics.RunningStatisticsState:
    """Statistics over arrays shaped like `example`, of which nothing was seen yet."""
    return jax.tree.map(jnp.asarray, running_statistics.init_state(example))


def _normalize(observation: Any, preprocessor_params: Any) -> Any:
    return running_statistics.normalize(observation, preprocessor_params, max_abs_value=MAX_NORMALIZED)
