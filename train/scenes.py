"""Frames and measured truths for training a reward model, made on the accelerator; no files."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from envs.humanoid import captions
from envs.humanoid.env import Humanoid
from envs.humanoid.measure import Measures
from envs.humanoid.postures import Sampler, turn
from jaxrm.render import Camera, render

# Cameras of the training frames: the presets' neighbourhood. Azimuth needs no range, bodies are turned.
DISTANCE = (2.2, 3.1)  # m
ELEVATION = (-22.0, -4.0)  # degrees
HEIGHT = (0.55, 0.95)  # m, of the point looked at
HOLD = (8, 40)  # steps for which a rollout aims at one posture


class Scenes(NamedTuple):
    frames: UInt8[Array, "n size size 3"]
    misses: Float[Array, "n concepts"]
    measures: Measures


def rollout_states(
    env: Humanoid, key: Array, worlds: int, steps: int, keep_every: int
) -> Float[Array, "n nq"]:
    """States of bodies under physics, each aiming at one random posture after another.

    Half of the worlds start standing, half anywhere; so falls, sprawls and recoveries are among them.

    Returns:
      qpos, float32 [worlds * steps / keep_every, nq].
    """
    sampler = Sampler(env)
    low, high = jnp.asarray(env.mj_model.jnt_range[1:]).T
    key_start, key_which, key_reset, key_roll = jax.random.split(key, 4)
    state = jax.vmap(env.reset)(jax.random.split(key_reset, worlds))
    anywhere = jax.vmap(sampler.sample)(jax.random.split(key_start, worlds))
    stands = jax.random.bernoulli(key_which, 0.5, (worlds, 1))
    state = state._replace(data=state.data._replace(qpos=jnp.where(stands, state.data.qpos, anywhere)))
    order = jnp.asarray(env.mj_model.actuator_trnid[:, 0] - 1)  # actuators stand in another order than joints

    def aim(key: Array) -> tuple[Array, Array]:
        joints, _ = sampler.joints_and_lean(key)
        return (2 * (joints - low) / (high - low) - 1)[order], jax.random.randint(key, (), *HOLD)

    def step(carry, key):
        state, action, left = carry
        fresh, hold = jax.vmap(aim)(jax.random.split(key, worlds))
        action = jnp.where((left <= 0)[:, None], fresh, action)
        left = jnp.where(left <= 0, hold, left - 1)
        return (jax.vmap(env.step)(state, action), action, left), None

    def block(carry, key):
        carry, _ = jax.lax.scan(step, carry, jax.random.split(key, keep_every))
        return carry, carry[0].data.qpos

    start = (state, jnp.zeros((worlds, env.action_size)), jnp.zeros(worlds, jnp.int32))
    _, qpos = jax.lax.scan(block, start, jax.random.split(key_roll, steps // keep_every))
    return qpos.reshape(-1, qpos.shape[-1])


def draw(env: Humanoid, qpos: Float[Array, "n nq"], key: Array, size: int) -> Scenes:
    """Turns each body at random and draws it from a camera of its own."""

    def one(qpos: Array, key: Array) -> Scenes:
        key_turn, key_camera = jax.random.split(key)
        qpos = turn(qpos, jax.random.uniform(key_turn, (), minval=-jnp.pi, maxval=jnp.pi))
        pose = env.pose_at(qpos)
        frame = render(env.scene, env.view(pose, _camera(key_camera)), height=size, width=size)
        measures = env.measures(pose)
        return Scenes(frame, captions.misses(measures), measures)

    return jax.vmap(one)(qpos, jax.random.split(key, len(qpos)))


def _camera(key: Array) -> Camera:
    distance, elevation, height = (
        jax.random.uniform(key, (), minval=low, maxval=high)
        for key, (low, high) in zip(jax.random.split(key, 3), (DISTANCE, ELEVATION, HEIGHT), strict=True)
    )
    slope = jnp.deg2rad(elevation)
    eye = distance * jnp.stack([jnp.cos(slope), jnp.zeros(()), -jnp.sin(slope)])
    target = jnp.stack([jnp.zeros(()), jnp.zeros(()), height])
    return Camera(target + eye, target, body="torso", level=True)
