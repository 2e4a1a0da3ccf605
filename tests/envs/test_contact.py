"""Floor and self-contact measured from geoms, against MuJoCo's own distances; and poses pulled to claims."""

from functools import partial

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import envs
from envs import criteria
from envs.humanoid import reach
from envs.humanoid.contact import lowest, overlap
from envs.humanoid.postures import Sampler

FAR = 5.0  # m, beyond which MuJoCo does not measure


@pytest.fixture(scope="module")
def env():
    return envs.make("humanoid/hands-on-hips")


@pytest.fixture(scope="module")
def sampler(env):
    return Sampler(env)


def test_contact_agrees_with_mujoco(env, sampler):
    model = env.mj_model
    qpos = jax.jit(jax.vmap(sampler.sample))(jax.random.split(jax.random.key(0), 64))

    def measured(qpos):
        data = env.kinematics(env.pose_at(qpos))
        return lowest(model, data), overlap(model, data)

    low, deep = (np.asarray(x) for x in jax.jit(jax.vmap(measured))(qpos))
    data = mujoco.MjData(model)
    floor = model.geom("floor").id
    limbs = [g for g in range(model.ngeom) if g != floor]
    for row, q in enumerate(np.asarray(qpos)):
        data.qpos[:] = q
        mujoco.mj_kinematics(model, data)
        distance = partial(mujoco.mj_geomDistance, model, data, distmax=FAR, fromto=None)
        assert low[row] == pytest.approx(min(distance(geom1=floor, geom2=g) for g in limbs), abs=1e-5)
        pairs = zip(model.pair_geom1.tolist(), model.pair_geom2.tolist(), strict=True)
        assert deep[row] == pytest.approx(max(-distance(geom1=a, geom2=b) for a, b in pairs), abs=1e-5)


@pytest.mark.slow  # the slope of kinematics takes minutes to compile
def test_random_postures_are_pulled_into_the_bounds_of_a_task(env, sampler):
    miss = partial(criteria.miss, env.bounds)
    starts = jax.jit(jax.vmap(sampler.sample))(jax.random.split(jax.random.key(1), 64))

    def pulled(qpos, steps):
        qpos = reach.pull(env, sampler, miss, qpos, steps, limit=60)
        return qpos, miss(env.measures(env.pose_at(qpos))), env.success(env.pose_at(qpos))

    pull = jax.jit(jax.vmap(pulled, in_axes=(0, None)))
    same, before, _ = pull(starts, 0)
    np.testing.assert_allclose(same, starts, atol=1e-6)
    qpos, after, success = pull(starts, 60)
    assert np.median(after) < 0.1 * np.median(before) and success.mean() > 0.3
    assert jnp.isfinite(qpos).all()
    low, high = env.mj_model.jnt_range[1:].T
    assert (qpos[:, 7:] >= low - 1e-6).all() and (qpos[:, 7:] <= high + 1e-6).all()
    np.testing.assert_allclose(np.linalg.norm(qpos[:, 3:7], axis=-1), 1.0, atol=1e-5)
