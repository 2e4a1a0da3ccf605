"""Policy, value and critic networks: brax's builders and distributions, with observations normalised."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from brax.training import distribution, networks
from brax.training.acme import running_statistics
from flax import linen
from jaxtyping import Array, Float

MAX_NORMALIZED = 10.0  # standard deviations; farther observations are clipped
QUIET = 0.01  # of the usual size: weights of PPO's output layers to begin with

_ACTIVATIONS = {"swish": linen.swish, "tanh": linen.tanh, "relu": linen.relu, "elu": linen.elu}
ACTIVATIONS = tuple(_ACTIVATIONS)
DISTRIBUTIONS = ("tanh-normal", "normal")


class Actor(NamedTuple):
    """What acts. Parameters and observation statistics are arguments of every call.

    Attributes:
      policy: gives the parameters of the action distribution.
      actions: brax's distribution; it works on actions before squashing ("raw").
    """

    policy: networks.FeedForwardNetwork
    actions: distribution.ParametricDistribution

    def init(self, key: Array) -> Any:
        return _cast(self.policy.init(key))

    def head(self, policy: Any, stats: Any, obs: Float[Array, "*batch obs"]) -> Any:
        return self.policy.apply(stats, policy, obs)

    def act(self, policy: Any, stats: Any, obs: Float[Array, "*batch obs"], key: Array | None) -> Array:
        """Actions in [-1, 1]: sampled, or the distribution's mode where `key` is None."""
        head = self.head(policy, stats, obs)
        return self.actions.mode(head) if key is None else self.actions.sample(head, key)

    def draw(
        self,
        policy: Any,
        stats: Any,
        obs: Float[Array, "*batch obs"],
        noise: Float[Array, "*batch action"],
    ) -> tuple[Float[Array, "*batch action"], Float[Array, "*batch action"], Float[Array, "*batch"]]:
        """The sample that standard normal `noise` stands for: raw, as an action, and its log-probability."""
        head = self.head(policy, stats, obs)
        normal: Any = self.actions.create_dist(head)
        raw = normal.loc + normal.scale * noise
        return raw, self.actions.postprocess(raw), self.actions.log_prob(head, raw)


class ActorCritic(NamedTuple):
    """PPO's: an actor and the value of an observation."""

    actor: Actor
    value: networks.FeedForwardNetwork

    def init(self, key: Array) -> dict[str, Any]:
        policy_key, value_key = jax.random.split(key)
        return {"policy": self.actor.init(policy_key), "value": _cast(self.value.init(value_key))}

    def values(self, params: Any, stats: Any, obs: Float[Array, "*batch obs"]) -> Float[Array, "*batch"]:
        return self.value.apply(stats, params["value"], obs)


class TwinCritic(NamedTuple):
    """SAC's: an actor and two values of an observation and an action in [-1, 1]."""

    actor: Actor
    critic: networks.FeedForwardNetwork

    def init(self, key: Array) -> dict[str, Any]:
        policy_key, critic_key = jax.random.split(key)
        return {"policy": self.actor.init(policy_key), "critic": _cast(self.critic.init(critic_key))}

    def values(
        self, critic: Any, stats: Any, obs: Float[Array, "*batch obs"], action: Float[Array, "*batch action"]
    ) -> Float[Array, "*batch 2"]:
        return self.critic.apply(stats, critic, obs, action)


def make_actor(
    observation_size: int,
    action_size: int,
    *,
    hidden: tuple[int, ...],
    activation: str = "swish",
    action_distribution: str = "tanh-normal",
) -> Actor:
    """A perceptron that gives a distribution of actions.

    Raises:
      ValueError: unknown activation or distribution.
    """
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
        hidden_layer_sizes=hidden,
        activation=_activation(activation),
        distribution_type="tanh_normal" if action_distribution == "tanh-normal" else "normal",
        noise_std_type="log",
    )
    return Actor(policy, actions)


def make_actor_critic(
    actor: Actor, observation_size: int, *, hidden: tuple[int, ...], activation: str = "swish"
) -> ActorCritic:
    """Adds a perceptron for the value; it shares nothing with the actor.

    Both begin with small output layers, alike for all that is seen until there is something to tell apart:
    in the policy's few choices mattered more to a large study (Andrychowicz et al., arXiv 2006.05990, section
    3.2); the value's would be the size of the returns, and nothing but noise in the first advantages.
    """
    value = networks.make_value_network(
        observation_size,
        preprocess_observations_fn=_normalize,
        hidden_layer_sizes=hidden,
        activation=_activation(activation),
    )
    return ActorCritic(actor._replace(policy=_begin_quiet(actor.policy)), _begin_quiet(value))


def make_twin_critic(
    actor: Actor,
    observation_size: int,
    action_size: int,
    *,
    hidden: tuple[int, ...],
    activation: str = "swish",
    layer_norm: bool = False,
) -> TwinCritic:
    """Adds two perceptrons for the values of actions; nothing is shared.

    `layer_norm` normalises their hidden layers, behind the activation; DroQ (Hiraoka et al., arXiv
    2110.02034) does so before it, with dropout.
    """
    critic = networks.make_q_network(
        observation_size,
        action_size,
        preprocess_observations_fn=_normalize,
        hidden_layer_sizes=hidden,
        activation=_activation(activation),
        n_critics=2,
        layer_norm=layer_norm,
    )
    return TwinCritic(actor, critic)


def init_statistics(example: Array | jax.ShapeDtypeStruct) -> running_statistics.RunningStatisticsState:
    """Statistics over arrays shaped like `example`, of which nothing was seen yet."""
    return jax.tree.map(jnp.asarray, running_statistics.init_state(example))


def _begin_quiet(network: networks.FeedForwardNetwork) -> networks.FeedForwardNetwork:
    """The same network with an output layer that begins `QUIET`. brax numbers a perceptron's layers, so that
    the output is the last; behind one whose deviation is a parameter of its own it is called Dense_0."""

    def init(key: Array) -> Any:
        params = network.init(key)
        layers = params["params"]
        last = "Dense_0" if "Dense_0" in layers else max(layers, key=lambda name: int(name.split("_")[-1]))
        layers[last]["kernel"] *= QUIET
        return params

    return networks.FeedForwardNetwork(init=init, apply=network.apply)


def _normalize(observation: Any, preprocessor_params: Any) -> Any:
    return running_statistics.normalize(observation, preprocessor_params, max_abs_value=MAX_NORMALIZED)


def _activation(name: str) -> Any:
    if name not in _ACTIVATIONS:
        raise ValueError(f"unknown activation {name!r}: known are {', '.join(ACTIVATIONS)}")
    return _ACTIVATIONS[name]


def _cast(params: Any) -> Any:
    """To the default float: Flax makes float32 only."""
    return jax.tree.map(lambda x: x.astype(jnp.result_type(float)), params)
