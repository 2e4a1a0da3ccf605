"""Looks a little off: colours, light, girth, and where the sun stands."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrm.render import Scene, View

# How looks vary, as shares of their own value or around it
COLOUR = 0.06  # standard deviation of a limb's colour
LIGHT = 0.2  # and of the light's strength
SUN = 0.25  # and of its direction's components
GIRTH = 0.04  # and of a limb's radius


def random_look(scene: Scene, key: Array) -> Scene:
    """Colours, light and girth a little off."""
    key_colour, key_light, key_girth = jax.random.split(key, 3)
    rgb = scene.rgba[:, :3] + COLOUR * jax.random.normal(key_colour, scene.rgba[:, :3].shape)
    scale = jnp.exp(LIGHT * jax.random.normal(key_light, (2,)))
    girth = jnp.exp(GIRTH * jax.random.normal(key_girth, scene.size[:, 0].shape))
    solid = jnp.asarray([kind != 0 for kind in scene.kinds])  # planes keep their size
    lights = dataclasses.replace(
        scene.lights, diffuse=scene.lights.diffuse * scale[0], headlight=scene.lights.headlight * scale[1]
    )
    return dataclasses.replace(
        scene,
        rgba=scene.rgba.at[:, :3].set(jnp.clip(rgb, 0, 1)),
        size=scene.size.at[:, 0].multiply(jnp.where(solid, girth, 1.0)),
        lights=lights,
    )


def turn_sun(view: View, angle: Float[Array, ""]) -> View:
    """The view with its lights turned about the vertical, radians."""
    cosine, sine, zero, one = jnp.cos(angle), jnp.sin(angle), jnp.zeros(()), jnp.ones(())
    turn = jnp.array([[cosine, -sine, zero], [sine, cosine, zero], [zero, zero, one]])
    return view._replace(light_dir=view.light_dir @ turn.T)


def move_sun(view: View, change: Float[Array, "*lights 3"]) -> View:
    """The view with the lights' directions changed, of unit length again."""
    sun = view.light_dir + change
    return view._replace(light_dir=sun / jnp.linalg.norm(sun, axis=-1, keepdims=True))
