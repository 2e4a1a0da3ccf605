"""What the small CLIP is shown: the sun from all sides, cameras near and far, states pulled to claims."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs.criteria import holds
from envs.humanoid import captions, tasks
from envs.humanoid.concepts import POSTURES, SOUND
from jaxrm.render import View
from train import looks, scenes


@pytest.fixture(scope="module")
def env():
    return tasks.factory("kneeling")()


def with_sun(direction) -> View:
    return View(*[jnp.zeros(3)] * 6, light_dir=jnp.array([direction]))


def test_a_quarter_turn_of_the_sun():
    turned = looks.turn_sun(with_sun([0.6, 0.0, -0.8]), jnp.float32(np.pi / 2)).light_dir
    np.testing.assert_allclose(turned, [[0.0, 0.6, -0.8]], atol=1e-6)


def test_cameras_are_near_or_far_from_the_body():
    keys = jax.random.split(jax.random.key(0), 500)
    for far, (low, high) in ((False, scenes.DISTANCE), (True, scenes.FAR_DISTANCE)):
        camera = jax.vmap(lambda key, far=far: scenes.random_camera(key, far))(keys)
        away = np.linalg.norm(camera.position - camera.target, axis=-1)
        assert low <= away.min() < low + 0.05 and high - 0.05 < away.max() <= high
        assert camera.position[:, 2].min() > 0.05  # above the floor


def test_bodies_are_pulled_to_what_is_claimed(env):
    parts = np.array([captions.parts_of("kneeling")])
    states = scenes.pulled_states(env, jax.random.key(0), 32, parts)
    bounds = POSTURES["kneeling"] + SOUND
    held = jax.jit(jax.vmap(lambda qpos: holds(bounds, env.measures(env.pose_at(qpos)))))(states)
    assert held.mean() > 0.3
