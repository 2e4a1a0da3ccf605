"""The learner's arithmetic against loops and closed forms, in float64."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.rl import ppo
from train.rl.config import PolicyConfig
from train.rl.learner import Experience
from train.rl.networks import init_statistics, make_actor, make_actor_critic
from train.rl.rewards import scale_rewards
from train.rl.rollout import Transition
from train.sums import AXIS

GAMMA, LAMBDA = 0.9, 0.8


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def gae_by_loop(rewards, values, next_values, terminated, truncated, valid):
    """One world at a time, one step at a time."""
    advantages = np.zeros_like(rewards)
    for world in range(rewards.shape[1]):
        later = 0.0
        for t in reversed(range(len(rewards))):
            if not valid[t, world]:
                later = 0.0
                continue
            beyond = 0.0 if terminated[t, world] else next_values[t, world]
            delta = rewards[t, world] + GAMMA * beyond - values[t, world]
            ended = terminated[t, world] or truncated[t, world]
            later = delta + (0.0 if ended else GAMMA * LAMBDA * later)
            advantages[t, world] = later
    return advantages


def random_steps(seed=0, length=12, worlds=7):
    rng = np.random.default_rng(seed)
    numbers = [rng.normal(size=(length, worlds)) for _ in range(3)]
    terminated, truncated = (rng.random((length, worlds)) < 0.15 for _ in range(2))
    valid = rng.random((length, worlds)) > 0.1
    return [*numbers, terminated, truncated, valid]


def test_advantages_equal_a_plain_loop():
    steps = random_steps()
    advantages, targets = ppo.generalized_advantages(*map(jnp.asarray, steps), gamma=GAMMA, gae_lambda=LAMBDA)
    expected = gae_by_loop(*steps)
    np.testing.assert_allclose(advantages, expected, atol=1e-12)
    np.testing.assert_allclose(targets, expected + np.where(steps[-1], steps[1], 0.0), atol=1e-12)


def test_an_unroll_becomes_samples():
    """What ended by a time limit goes on by the value of the state that it reached; what terminated does not.
    The observations of every step and of what it reached differ, so that none can stand for another."""
    rewards, _, _, terminated, truncated, valid = map(jnp.asarray, random_steps())
    actor = make_actor(3, 2, hidden=(5,))
    networks = make_actor_critic(actor, 3, hidden=(4,))
    params = networks.init(jax.random.PRNGKey(0))
    params["value"] = jax.tree.map(lambda x: x + 0.3, params["value"])
    obs, next_obs = jax.random.normal(jax.random.PRNGKey(1), (2, *rewards.shape, 3))
    taken = jax.random.normal(jax.random.PRNGKey(2), (*rewards.shape, 2)), rewards + 1
    pose: tuple = ()
    steps = Transition(obs, taken, next_obs, pose, -rewards, terminated, truncated, valid)  # pyright: ignore
    stats = init_statistics(jnp.zeros(3))
    state = SimpleNamespace(params=params, obs_stats=stats, reward_stats=SimpleNamespace(mean=0.5, std=2.0))
    config = PolicyConfig("pendulum", gamma=GAMMA, gae_lambda=LAMBDA, normalize_reward=True)
    learner = ppo.Ppo(config, networks)

    def make(experience: Experience) -> ppo.Samples:
        return learner.make_samples(state, experience)  # pyright: ignore[reportArgumentType]

    one = jax.tree.map(lambda x: x[None], Experience(steps, rewards, valid))
    samples = jax.tree.map(lambda x: x[0], jax.vmap(make, axis_name=AXIS)(one))

    values, beyond = (np.asarray(networks.values(params, stats, x)) for x in (obs, next_obs))
    left = np.where(terminated, 1 / (1 - GAMMA), 1)  # an end is none of an average state
    scaled = (np.asarray(rewards) - 0.5 * left) * (1 - GAMMA) / 2.0
    advantages = gae_by_loop(scaled, values, beyond, *map(np.asarray, (terminated, truncated, valid)))
    np.testing.assert_allclose(samples.target, advantages + np.where(valid, values, 0.0), atol=1e-12)
    some = advantages[np.asarray(valid)]
    normal = (advantages - some.mean()) / (some.std() + 1e-8)
    np.testing.assert_allclose(samples.advantage[valid], normal[np.asarray(valid)], atol=1e-10)
    np.testing.assert_array_equal(samples.weight, valid)
    np.testing.assert_array_equal(samples.log_prob, rewards + 1)
    last = np.asarray(truncated & ~terminated & valid)
    np.testing.assert_allclose(samples.target[last], (scaled + GAMMA * beyond)[last], atol=1e-12)
    over = np.asarray(terminated & valid)
    np.testing.assert_allclose(samples.target[over], scaled[over], atol=1e-12)
    assert last.sum() > 3 and over.sum() > 3


def test_rewards_are_scaled_so_that_returns_are_of_order_one():
    stats = SimpleNamespace(mean=jnp.float32(2.0), std=jnp.float32(4.0))
    rewards = jnp.array([2.0, 6.0, -2.0], jnp.float32)
    config = PolicyConfig("pendulum", gamma=0.75, normalize_reward=True)
    goes_on = jnp.zeros(3, bool)
    scaled = scale_rewards(config, stats, rewards, goes_on)
    np.testing.assert_allclose(scaled, [0.0, 0.25, -0.25], rtol=1e-6)
    assert scaled.dtype == rewards.dtype
    nothing_seen = scale_rewards(config, SimpleNamespace(mean=2.0, std=0.0), rewards, goes_on)
    assert np.isfinite(nothing_seen).all()
    plain = PolicyConfig("pendulum", gamma=0.75, normalize_reward=False)
    np.testing.assert_array_equal(scale_rewards(plain, stats, rewards, goes_on), rewards)


def test_who_ends_early_loses_as_much_with_scaled_rewards_as_with_plain_ones():
    """1 a step until the episode terminates: all rewards are the mean, and yet the longer one is better, by
    as much as before in units of the spread."""
    config, stats = (
        PolicyConfig("pendulum", gamma=GAMMA, normalize_reward=True),
        SimpleNamespace(mean=1.0, std=2.0),
    )
    returns = []
    for length in (3, 40):
        ends = jnp.arange(length) == length - 1
        scaled = scale_rewards(config, stats, jnp.ones(length), ends)
        returns.append(float(scaled @ GAMMA ** jnp.arange(length)))
    plain = [(1 - GAMMA**length) / (1 - GAMMA) for length in (3, 40)]
    np.testing.assert_allclose(returns[1] - returns[0], (plain[1] - plain[0]) * (1 - GAMMA) / 2.0, rtol=1e-12)


def test_truncation_bootstraps_the_true_final_state_and_termination_nothing():
    ones = jnp.ones((1, 2))
    ended = jnp.array([[True, False]])
    advantages, _ = ppo.generalized_advantages(
        ones, 2 * ones, 5 * ones, ended, ~ended, ones > 0, gamma=GAMMA, gae_lambda=LAMBDA
    )
    np.testing.assert_allclose(advantages[0], [1 - 2, 1 + GAMMA * 5 - 2])


def test_nan_steps_reach_no_other_step():
    steps = random_steps(1)
    valid = steps[-1]
    clean = gae_by_loop(*steps)
    spoilt = [np.where(valid, x, np.nan) for x in steps[:3]]
    advantages, targets = ppo.generalized_advantages(
        *map(jnp.asarray, [*spoilt, *steps[3:]]), gamma=GAMMA, gae_lambda=LAMBDA
    )
    assert np.isfinite(advantages).all() and np.isfinite(targets).all()
    np.testing.assert_allclose(advantages, clean, atol=1e-12)


def samples_and_networks(action_distribution="tanh-normal"):
    actor = make_actor(3, 2, hidden=(5,), action_distribution=action_distribution)
    networks = make_actor_critic(actor, 3, hidden=(4,))
    params = networks.init(jax.random.PRNGKey(0))
    stats = init_statistics(jnp.zeros(3))
    keys = jax.random.split(jax.random.PRNGKey(1), 6)
    samples = ppo.Samples(
        obs=jax.random.normal(keys[0], (2, 6, 3)),
        action=jax.random.normal(keys[1], (2, 6, 2)),
        log_prob=jax.random.normal(keys[2], (2, 6)) - 2,
        advantage=jax.random.normal(keys[3], (2, 6)),
        target=jax.random.normal(keys[4], (2, 6)),
        weight=(jax.random.uniform(keys[5], (2, 6)) > 0.3).astype(float),
    )
    return networks, params, stats, samples


@pytest.mark.parametrize("action_distribution", ["tanh-normal", "normal"])
def test_a_network_begins_with_small_output_layers_and_all_else_as_it_was(action_distribution):
    key = jax.random.PRNGKey(0)
    actor = make_actor(3, 2, hidden=(5, 5), action_distribution=action_distribution)
    params = make_actor_critic(actor, 3, hidden=(4,)).init(key)
    usual = jax.tree.map(lambda x: x, actor.init(jax.random.split(key)[0]))
    output = "hidden_2" if action_distribution == "tanh-normal" else "Dense_0"
    usual["params"][output]["kernel"] *= 0.01
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-6), params["policy"], usual)

    layers = params["value"]["params"]
    spread = {name: float(jnp.abs(layer["kernel"]).max()) for name, layer in layers.items()}
    assert spread["hidden_1"] < 0.02 < 0.2 < spread["hidden_0"]


def loss_of(params, networks, stats, samples, keys, costs):
    """Means over all that counts, as an update takes them."""
    sums = ppo.ppo_loss(params, networks, stats, samples, keys, costs)
    return jax.tree.map(lambda x: x / samples.weight.sum(), sums)


@pytest.mark.parametrize("action_distribution", ["tanh-normal", "normal"])
def test_loss_equals_its_closed_form(action_distribution):
    networks, params, stats, samples = samples_and_networks(action_distribution)
    costs = ppo.LossCosts(clip=0.2, value=0.5, entropy=0.0)
    loss, figures = loss_of(params, networks, stats, samples, jax.random.split(jax.random.PRNGKey(2)), costs)

    head = networks.actor.head(params["policy"], stats, samples.obs)
    normal = networks.actor.actions.create_dist(head)
    mean, deviation, action = (np.asarray(x) for x in (normal.loc, normal.scale, samples.action))
    log_prob = -0.5 * ((action - mean) / deviation) ** 2 - np.log(deviation) - 0.5 * np.log(2 * np.pi)
    if action_distribution == "tanh-normal":
        log_prob = log_prob - np.log(1 - np.tanh(action) ** 2)
    ratio = np.exp(log_prob.sum(-1) - np.asarray(samples.log_prob))
    advantage, weight = np.asarray(samples.advantage), np.asarray(samples.weight)
    policy_loss = -np.minimum(ratio * advantage, np.clip(ratio, 0.8, 1.2) * advantage)
    error = np.asarray(networks.values(params, stats, samples.obs) - samples.target) ** 2 / 2
    np.testing.assert_allclose(loss, np.average(policy_loss + 0.5 * error, weights=weight), rtol=1e-10)
    np.testing.assert_allclose(figures["value_loss"], np.average(error, weights=weight), rtol=1e-10)
    np.testing.assert_allclose(
        figures["clipped"], np.average(abs(ratio - 1) > 0.2, weights=weight), rtol=1e-10
    )


def test_entropy_of_the_loss_is_that_of_a_normal():
    networks, params, stats, samples = samples_and_networks("normal")
    keys = jax.random.split(jax.random.PRNGKey(2))
    _, figures = loss_of(params, networks, stats, samples, keys, ppo.LossCosts(0.2, 0.5, 1.0))
    actor = networks.actor
    scale = actor.actions.create_dist(actor.head(params["policy"], stats, samples.obs)).scale
    entropy = np.sum(0.5 * np.log(2 * np.pi * np.e) + np.log(scale), axis=-1)
    entropy = np.broadcast_to(entropy, samples.weight.shape)
    np.testing.assert_allclose(figures["entropy"], np.average(entropy, weights=samples.weight), rtol=1e-10)


def test_a_sample_without_weight_has_no_gradient():
    networks, params, stats, samples = samples_and_networks()
    keys = jax.random.split(jax.random.PRNGKey(2))

    def gradient(samples):
        costs = ppo.LossCosts(0.2, 0.5, 1e-2)
        return jax.grad(lambda p: loss_of(p, networks, stats, samples, keys, costs)[0])(params)

    moved = samples._replace(target=jnp.where(samples.weight > 0, samples.target, 1e6))
    for a, b in zip(jax.tree.leaves(gradient(samples)), jax.tree.leaves(gradient(moved)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_advantages_are_normalised_over_what_counts():
    weight = jnp.array([1.0, 1.0, 0.0, 1.0])
    x = ppo.normalize_advantages(jnp.array([1.0, 2.0, 100.0, 6.0]), weight, None)
    np.testing.assert_allclose(
        x[jnp.array([0, 1, 3])], (np.array([1, 2, 6]) - 3) / np.std([1, 2, 6]), rtol=1e-6
    )
