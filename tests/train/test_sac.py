"""SAC's arithmetic against closed forms, in float64; what it writes into its replay."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs.pendulum import Pendulum
from train.mesh import make_mesh
from train.rl import replay, sac
from train.rl.config import PolicyConfig
from train.rl.networks import init_statistics, make_actor, make_twin_critic
from train.rl.parts import make_learner
from train.rl.program import make_program, state_like
from train.rl.rewards import LoopReward

GAMMA = 0.9


@pytest.fixture()
def float64():
    with jax.enable_x64(True):
        yield


def test_a_time_limit_bootstraps_the_true_final_state_and_a_termination_nothing():
    """A time limit is no part of the target: the last of three steps is truncated, the second terminated."""
    values = jnp.array([[5.0, 7.0], [5.0, 7.0], [9.0, 6.0]])
    targets = sac.soft_targets(
        jnp.array([1.0, 1.0, 2.0]),
        jnp.array([False, True, False]),
        values,
        jnp.array([-1.0, -1.0, 2.0]),
        temperature=0.5,
        gamma=GAMMA,
    )
    np.testing.assert_allclose(targets, [1 + GAMMA * (5 + 0.5), 1, 2 + GAMMA * (6 - 1)])


def batch_and_networks():
    actor = make_actor(3, 2, hidden=(5,))
    networks = make_twin_critic(actor, 3, 2, hidden=(4,))
    params = networks.init(jax.random.PRNGKey(0)) | {"log_temperature": jnp.log(0.3)}
    target = networks.init(jax.random.PRNGKey(7))["critic"]
    keys = jax.random.split(jax.random.PRNGKey(1), 6)
    batch = sac.Batch(
        obs=jax.random.normal(keys[0], (2, 6, 3)),
        action=jnp.tanh(jax.random.normal(keys[1], (2, 6, 2))),
        reward=jax.random.normal(keys[2], (2, 6)),
        next_obs=jax.random.normal(keys[3], (2, 6, 3)),
        terminated=jnp.zeros((2, 6), bool).at[0, 1].set(True),
        weight=(jnp.arange(12).reshape(2, 6) % 4 > 0).astype(float),
    )
    noise = jax.random.normal(keys[4], (2, 2, 6, 2))
    return networks, params, target, init_statistics(jnp.zeros(3)), batch, noise


def test_critics_with_normalised_layers_equal_their_spelling_out(float64):
    networks = make_twin_critic(make_actor(3, 2, hidden=(5,)), 3, 2, hidden=(4, 6), layer_norm=True)
    critic = networks.init(jax.random.PRNGKey(0))["critic"]
    critic = jax.tree.map(lambda x: x + 0.1 * jnp.arange(x.size).reshape(x.shape) / x.size, critic)
    obs, action = jax.random.normal(jax.random.PRNGKey(1), (7, 3)), jnp.full((7, 2), 0.3)
    values = networks.values(critic, init_statistics(jnp.zeros(3)), obs, action)

    for index in range(2):
        layers = critic["params"][f"MLP_{index}"]
        x = np.concatenate([obs, action], axis=-1)
        for hidden in range(2):
            dense, norm = layers[f"hidden_{hidden}"], layers[f"LayerNorm_{hidden}"]
            x = x @ dense["kernel"] + dense["bias"]
            x = np.asarray(x / (1 + np.exp(-x)))
            x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
            x = x * norm["scale"] + norm["bias"]
        wanted = x @ layers["hidden_2"]["kernel"] + layers["hidden_2"]["bias"]
        np.testing.assert_allclose(values[:, index], wanted[:, 0], rtol=1e-10)


def loss_of(params, target, networks, stats, batch, noise):
    """Means over all that counts, as a step takes them."""
    sums = sac.sac_loss(params, target, networks, stats, batch, noise, gamma=GAMMA, target_entropy=-2.0)
    return jax.tree.map(lambda x: x / batch.weight.sum(), sums)


def drawn(networks, params, obs, noise):
    """Action and log-probability of a squashed normal, spelled out."""
    stats = init_statistics(jnp.zeros(3))
    normal = networks.actor.actions.create_dist(networks.actor.head(params["policy"], stats, obs))
    mean, deviation, noise = (np.asarray(x) for x in (normal.loc, normal.scale, noise))
    raw = mean + deviation * noise
    log_prob = -0.5 * noise**2 - np.log(deviation) - 0.5 * np.log(2 * np.pi) - np.log(1 - np.tanh(raw) ** 2)
    return np.tanh(raw), log_prob.sum(-1)


def test_loss_equals_its_closed_form(float64):
    networks, params, target, stats, batch, noise = batch_and_networks()
    loss, figures = loss_of(params, target, networks, stats, batch, noise)

    next_action, next_log_prob = drawn(networks, params, batch.next_obs, noise[:, 0])
    next_value = np.min(networks.values(target, stats, batch.next_obs, next_action), axis=-1)
    goes_on = 1.0 - np.asarray(batch.terminated)
    wanted = np.asarray(batch.reward) + GAMMA * goes_on * (next_value - 0.3 * next_log_prob)
    errors = np.asarray(networks.values(params["critic"], stats, batch.obs, batch.action)) - wanted[..., None]
    critic = 0.5 * (errors**2).sum(-1)
    action, log_prob = drawn(networks, params, batch.obs, noise[:, 1])
    actor = 0.3 * log_prob - np.min(networks.values(params["critic"], stats, batch.obs, action), axis=-1)
    temperature = -np.log(0.3) * (log_prob - 2.0)
    mean = np.average(critic + actor + temperature, weights=batch.weight)
    np.testing.assert_allclose(loss, mean, rtol=1e-10)
    np.testing.assert_allclose(figures["critic_loss"], np.average(critic, weights=batch.weight), rtol=1e-10)
    np.testing.assert_allclose(figures["entropy"], -np.average(log_prob, weights=batch.weight), rtol=1e-10)


def test_each_loss_moves_its_own_parameters_alone(float64):
    """The critics do not learn to please the policy, nor the policy to please the targets."""
    networks, params, target, stats, batch, noise = batch_and_networks()
    grads = jax.grad(lambda p: loss_of(p, target, networks, stats, batch, noise)[0])(params)

    def critic_loss(critic):
        return loss_of(params | {"critic": critic}, target, networks, stats, batch, noise)[1]["critic_loss"]

    step = 1e-6
    direction = jax.tree.map(jnp.ones_like, params["critic"])
    moved = [critic_loss(jax.tree.map(lambda x, s=s: x + s * step, params["critic"])) for s in (1, -1)]
    along = sum(
        jnp.sum(g * d) for g, d in zip(*map(jax.tree.leaves, (grads["critic"], direction)), strict=True)
    )
    # critic_loss is reported with its gradient stopped; its value is that of the same parameters
    np.testing.assert_allclose((moved[0] - moved[1]) / (2 * step), along, rtol=1e-5)
    _, log_prob = drawn(networks, params, batch.obs, noise[:, 1])
    expected = -np.average(log_prob - 2.0, weights=batch.weight)
    np.testing.assert_allclose(grads["log_temperature"], expected, rtol=1e-10)


def test_a_transition_without_weight_has_no_gradient(float64):
    networks, params, target, stats, batch, noise = batch_and_networks()
    moved = batch._replace(reward=jnp.where(batch.weight > 0, batch.reward, 1e6))
    a, b = (
        jax.grad(lambda p, x=x: loss_of(p, target, networks, stats, x, noise)[0])(params)
        for x in (batch, moved)
    )
    jax.tree.map(np.testing.assert_array_equal, a, b)


def small(**changes) -> PolicyConfig:
    settings = dict(reward="truth", num_envs=16, unroll_length=4, policy_hidden=(8,), value_hidden=(8,))
    settings |= dict(updates_per_step=1 / 16, batch_size=16, learning_starts=128, replay_size=160)
    return PolicyConfig("pendulum", algo="sac", **{**settings, **changes})


def test_targets_follow_by_tau(float64):
    learner = make_learner(small(tau=0.25), 3, 2)
    _, _, _, stats, batch, noise = batch_and_networks()
    params, opt_state = learner.init(jax.random.PRNGKey(0))
    before = jax.tree.map(np.asarray, opt_state.target)
    after, new_state, _ = learner.step(params, opt_state, stats, batch, noise, None)
    wanted = jax.tree.map(lambda old, new: 0.75 * old + 0.25 * new, before, after["critic"])
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-12), new_state.target, wanted)


def test_a_temperature_that_is_not_tuned_stays():
    learner = make_learner(small(tune_temperature=False, temperature=0.3), 3, 2)
    _, _, _, stats, batch, noise = batch_and_networks()
    params, opt_state = learner.init(jax.random.PRNGKey(0))
    after, _, _ = learner.step(params, opt_state, stats, batch, noise, None)
    assert after["log_temperature"] == params["log_temperature"]
    kernels = [tree["critic"]["params"]["MLP_0"]["hidden_0"]["kernel"] for tree in (params, after)]
    assert not np.array_equal(*kernels)


def run(settings: PolicyConfig, iterations: int, reward: LoopReward, env=None):
    env = env or Pendulum()
    program = make_program(settings, env, make_learner(settings, 3, 1), reward)
    return program.run(program.init(jax.random.PRNGKey(0)), program.frozen, iterations)


def test_the_rate_has_fallen_to_zero_after_the_last_update():
    settings = small(decay=True, steps=6 * 64)
    state, _ = run(settings, settings.iterations, angle_reward())
    learner = make_learner(settings, 3, 1)
    rng = np.random.default_rng(0)
    batch = sac.Batch(*(rng.normal(size=(1, 4, *shape)) for shape in ((3,), (1,), (), (3,), (), ())))
    noise = rng.normal(size=(1, 2, 4, 1))
    after, opt_state, _ = learner.step(state.params, state.opt_state, state.obs_stats, batch, noise, None)
    jax.tree.map(np.testing.assert_array_equal, after, state.params)
    assert int(opt_state.adam[0].count) == 5 * settings.updates_per_iteration + 1  # of six one only explores


def angle_reward() -> LoopReward:
    return LoopReward("angle", (), (), lambda env, weights, state, poses: jnp.cos(poses.qpos[..., 0]), ())


def test_every_row_holds_the_score_of_the_state_it_reached():
    """The last state of an episode too: there the next observation is of the true final state."""
    env = Pendulum()
    env.episode_length = 3
    state, _ = run(small(reward="clip"), 2, angle_reward(), env)
    rows = jax.tree.map(
        lambda x: np.asarray(x[:, :16]), state.memory.rows
    )  # two iterations of 2 worlds a shard
    assert rows.valid.all() and not rows.terminated.any()
    np.testing.assert_allclose(rows.score, rows.next_obs[..., 0], atol=1e-6)
    np.testing.assert_allclose(rows.score, np.cos(rows.pose.qpos[..., 0]), atol=1e-6)
    followed = np.linalg.norm(rows.next_obs[:, :-2] - rows.obs[:, 2:], axis=-1) < 1e-6  # worlds alternate
    ends = ~followed[:, :6]
    assert (
        0 < ends.mean() < 0.7
    )  # episodes did end, and their ends were not those of the starts that followed


def test_rewards_are_normalised_as_of_now():
    """Rows keep the reward itself: what was seen since they were written counts when they are drawn."""
    settings = small(reward="clip", normalize_reward=True, gamma=0.75)
    state, _ = run(settings, 2, angle_reward())
    learner = make_learner(settings, 3, 1)
    keys = jax.random.split(jax.random.PRNGKey(0), settings.num_shards)
    for mean, std in ((0.0, 1.0), (0.5, 2.0)):
        seen = state.reward_stats.replace(mean=jnp.float32(mean), std=jnp.float32(std))
        batch = learner.draw_batch(state._replace(reward_stats=seen), state.memory, keys)
        want = (batch.next_obs[..., 0] - mean) * 0.25 / std
        np.testing.assert_allclose(batch.reward, want, atol=1e-6)


def test_nothing_is_learnt_and_actions_are_uniform_before_learning_starts():
    settings = small()
    learner = make_learner(settings, 3, 1)
    start, _ = learner.init(jax.random.split(jax.random.PRNGKey(0), 4)[0])
    state, figures = run(settings, 1, angle_reward())
    jax.tree.map(np.testing.assert_array_equal, state.params, start)
    assert figures["updates"][0] == 0 and np.isnan(figures["critic_loss"][0])
    state, figures = run(settings, 3, angle_reward())
    np.testing.assert_array_equal(figures["updates"][:3], [0, 4, 4])
    noise = jax.random.normal(jax.random.PRNGKey(3), (4000, 1))
    fresh = state._replace(iteration=jnp.int32(0))
    action, _ = learner.explore(fresh, jnp.zeros((4000, 3)), noise)
    np.testing.assert_allclose(np.quantile(action, [0.1, 0.5, 0.9]), [-0.8, 0, 0.8], atol=0.05)


def test_the_ring_of_the_program_wraps():
    state, _ = run(small(), 3, angle_reward())  # 3 x 8 rows a shard into a ring of 20
    np.testing.assert_array_equal(state.memory.filled, 20)
    np.testing.assert_array_equal(state.memory.position, 4)
    rows = jax.tree.map(lambda x: np.asarray(x), state.memory.rows)
    np.testing.assert_allclose(rows.score, rows.next_obs[..., 0], atol=1e-6)


def test_the_ring_is_written_in_place():
    """The whole program needs far less room beside its state than a copy of the ring."""
    settings = small(replay_size=4_000_000)
    learner = make_learner(settings, 3, 1)
    program = make_program(settings, Pendulum(), learner, angle_reward(), make_mesh(jax.devices()[:1]))
    state = state_like(program)
    memory = program.run.lower(state, program.frozen, 1).compile().memory_analysis()
    ring = replay.size_in_bytes(state.memory)
    assert ring > 100e6 and memory.temp_size_in_bytes < ring / 10
    assert memory.alias_size_in_bytes > ring  # donated
