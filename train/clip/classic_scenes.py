"""Frames of classic control's scenes for training a reward model, with what is true in them."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from envs.classic import ClassicControl
from envs.classic_captions import Topic
from jaxrm.render import Camera, render
from train.looks import move_sun, random_look

SUN = 0.1  # standard deviation of the light's direction; these cameras stand still
SHIFT = 0.04  # m, of the camera and, apart from that, of the point it looks at


class ClassicScenes(NamedTuple):
    """Frames, how far each is from every concept of its topic, and the coordinates."""

    frames: UInt8[Array, "n size size 3"]
    misses: Float[Array, "n concepts"]
    qpos: Float[Array, "n nq"]


def draw_one(env: ClassicControl, topic: Topic, key: Array, size: int) -> ClassicScenes:
    """Any state of `env.sample`, the camera a little off its place; no field has the axis `n`."""
    key_state, key_scene = jax.random.split(key)
    return draw_state(env, topic, env.sample(key_state), key_scene, size)


def draw_state(
    env: ClassicControl, topic: Topic, qpos: Float[Array, "nq"], key: Array, size: int
) -> ClassicScenes:
    """The same of a given state."""
    key_camera, key_look, key_sun = jax.random.split(key, 3)
    view = env.view(env.pose_at(qpos), _shifted(env.camera, key_camera))
    view = move_sun(view, SUN * jax.random.normal(key_sun, view.light_dir.shape))
    frames = render(random_look(env.scene, key_look), view, height=size, width=size)
    return ClassicScenes(frames, topic.misses(qpos), qpos)


def _shifted(camera: Camera, key: Array) -> Camera:
    eye, target = SHIFT * jax.random.normal(key, (2, 3))
    return dataclasses.replace(
        camera, position=jnp.asarray(camera.position) + eye, target=jnp.asarray(camera.target) + target
    )
