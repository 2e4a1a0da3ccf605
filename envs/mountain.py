"""What MountainCar looks like: a mountain, its road, a flag and a car.

`plain` is Gymnasium's drawing: a black line on white. Otherwise the mountain has grass, earth and a sky, in
the manner of VLM-RM's textured one (arXiv 2310.12921, section 4.1). Boxes make it, not a mesh: they are drawn
some ten times as fast.
"""

import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

LOWEST = 0.1  # height of the valley
DEPTH = 0.35  # of the mountain, towards and away from the camera
MARGIN = 0.3  # drawn beyond both ends of the road
FOOT = -0.6  # of the mountain, below the picture
COLUMNS = 28  # the road is a polygon
GRASS, EARTH = (0.28, 0.56, 0.18), (0.48, 0.34, 0.20)

_SCENE = """
<mujoco model="mountain car">
  <visual>
    <headlight ambient="{ambient}" diffuse="{diffuse}" specular="0 0 0"/>
    <map znear=".01" zfar="50"/>
  </visual>
  <statistic center="-.3 0 .5" extent="2"/>
  <asset>
    <texture type="skybox" builtin="gradient" rgb1="{horizon}" rgb2="{zenith}" width="64" height="64"/>
  </asset>
  <default>
    <geom contype="0" conaffinity="0"/>
    <default class="wheel"><geom type="cylinder" size=".048 .08" euler="90 0 0"/></default>
  </default>
  <worldbody>
    <light directional="true" pos="0 -2 4" dir=".4 .5 -1" diffuse="{sun}"/>
    <body name="flag" pos="{goal} 0 {goal_height}">
      <geom name="mast" type="capsule" fromto="0 0 0 0 0 .36" size=".016" rgba="{mast}"/>
      <geom name="cloth" type="box" pos=".085 0 .3" size=".075 .008 .055" rgba="1 .85 .05 1"/>
    </body>
    <body name="road">
      <joint name="slide" type="slide" axis="1 0 0"/>
      <body name="car">
        <geom name="hull" type="box" pos="0 0 .09" size=".14 .07 .042" mass="1" rgba="{paint}"/>
        <geom name="cabin" type="box" pos="-.015 0 .157" size=".075 .06 .035" rgba="{glass}"/>
        <geom name="rear wheel" class="wheel" pos="-.085 0 .048" rgba="{tyre}"/>
        <geom name="front wheel" class="wheel" pos=".085 0 .048" rgba="{tyre}"/>
      </body>
    </body>
  </worldbody>
</mujoco>
"""
_TEXTURED = {
    "ambient": ".35 .35 .36", "diffuse": ".25 .25 .25", "sun": ".65 .65 .62",
    "horizon": ".85 .92 .98", "zenith": ".3 .52 .85", "mast": ".9 .9 .9 1",
    "paint": ".85 .1 .12 1", "glass": ".6 .05 .08 1", "tyre": ".08 .08 .1 1",
}  # fmt: skip
_PLAIN = {
    "ambient": "1 1 1", "diffuse": "0 0 0", "sun": "0 0 0",
    "horizon": "1 1 1", "zenith": "1 1 1", "mast": "0 0 0 1",
    "paint": "0 0 0 1", "glass": "0 0 0 1", "tyre": ".5 .5 .5 1",
}  # fmt: skip


def height(x: Float[Array, "*any"] | Float[np.ndarray, "*any"] | float) -> Float[Array, "*any"]:
    """Of the road above Gymnasium's zero."""
    return jnp.sin(3.0 * jnp.asarray(x)) * 0.45 + 0.55


def slope(x: Float[Array, "*any"]) -> Float[Array, "*any"]:
    return 1.35 * jnp.cos(3.0 * x)


def make_model(plain: bool, left: float, right: float, goal: float) -> mujoco.MjModel:
    """The drawing; its one joint is the car's position, whose body stands at height 0 until it is placed."""
    looks = _PLAIN if plain else _TEXTURED
    spec = mujoco.MjSpec.from_string(_SCENE.format(**looks, goal=goal, goal_height=float(height(goal))))
    x = np.linspace(left - MARGIN, right + MARGIN, COLUMNS + 1)
    z = np.asarray(height(x), float)
    if plain:
        _add_road(spec, x, z, thickness=0.025, depth=0.02, colours=np.zeros((COLUMNS, 3)))
        return spec.compile()
    rng = np.random.default_rng(0)
    _add_road(spec, x, z, thickness=0.07, depth=DEPTH, colours=_shades(rng, GRASS))
    _add_columns(spec, x, z - 0.05, colours=_shades(rng, EARTH))
    return spec.compile()


def _shades(rng: np.random.Generator, colour: tuple[float, float, float]) -> Float[np.ndarray, "columns 3"]:
    """Patches: one colour, brighter and darker."""
    return np.clip(np.array(colour) * (1 + 0.12 * rng.uniform(-1, 1, (COLUMNS, 1))), 0, 1)


def _add_road(
    spec: mujoco.MjSpec, x: np.ndarray, z: np.ndarray, thickness: float, depth: float, colours: np.ndarray
) -> None:
    """Slabs whose upper faces are the road."""
    for i, colour in enumerate(colours):
        run, rise = x[i + 1] - x[i], z[i + 1] - z[i]
        length, angle = np.hypot(run, rise), np.arctan2(rise, run)
        middle = np.array([(x[i] + x[i + 1]) / 2, 0, (z[i] + z[i + 1]) / 2])
        middle += thickness / 2 * np.array([np.sin(angle), 0, -np.cos(angle)])
        _add_box(
            spec,
            f"road {i}",
            middle,
            [length / 2 + thickness / 8, depth, thickness / 2],  # a little over the joints
            colour,
            quat=[np.cos(angle / 2), 0, -np.sin(angle / 2), 0],
        )


def _add_columns(spec: mujoco.MjSpec, x: np.ndarray, z: np.ndarray, colours: np.ndarray) -> None:
    """The mountain's inside, up to a curve."""
    for i, colour in enumerate(colours):
        top = min(z[i], z[i + 1])
        half = [(x[i + 1] - x[i]) / 2, DEPTH - 0.01, (top - FOOT) / 2]
        _add_box(spec, f"earth {i}", [(x[i] + x[i + 1]) / 2, 0, (top + FOOT) / 2], half, colour)


def _add_box(
    spec: mujoco.MjSpec,
    name: str,
    pos: ArrayLike,
    size: ArrayLike,
    colour: Float[np.ndarray, "3"],
    quat: ArrayLike = (1, 0, 0, 0),
) -> None:
    spec.worldbody.add_geom(
        name=name, type=mujoco.mjtGeom.mjGEOM_BOX, pos=pos, size=size, quat=quat, rgba=[*colour, 1],
        contype=0, conaffinity=0,
    )  # fmt: skip
