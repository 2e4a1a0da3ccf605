"""Frames: rays through pixels, what they hit, and its colour."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt8

from jaxrm.render.scene import Scene
from jaxrm.render.shade import shade
from jaxrm.render.sky import sky_colour
from jaxrm.render.trace import Hits, nearest
from jaxrm.render.vectors import Vec
from jaxrm.render.view import View

_compiled = functools.partial(jax.jit, static_argnames=("height", "width", "shadows", "samples"))


class Picture(NamedTuple):
    """A frame and its geometry.

    Attributes:
      rgb: colours.
      depth: metres along the camera's axis, as MuJoCo's depth rendering gives; the far plane's
        distance where there is nothing.
      segmentation: id of the geom in the pixel's centre; -1 for the background.
    """

    rgb: UInt8[Array, "*batch height width 3"]
    depth: Float[Array, "*batch height width"]
    segmentation: Int[Array, "*batch height width"]


class Rays(NamedTuple):
    """Rays from the camera, row by row from the top left [height * width]."""

    direction: Vec  # unit vectors
    cosine: Array  # of the angle to the camera's axis
    spread: Array  # between neighbouring rays, radians


@_compiled
def render(
    scene: Scene, view: View, height: int = 224, width: int = 224, shadows: bool = True, samples: int = 1
) -> UInt8[Array, "height width 3"]:
    """Draws one pose; `vmap` over `view` (and `scene`, if colours vary) for a batch.

    Args:
      scene: shapes and colours.
      view: positions.
      height, width: size of the frame, pixels; static under `jit`.
      shadows: whether the lights that cast shadows do; static.
      samples: each pixel is the mean of samples x samples rays; static.

    Returns:
      uint8 [height, width, 3]; black if anything in `view` is not finite.
    """
    colour, _, _ = _sample(scene, view, height, width, shadows, samples)
    return _to_bytes(_pool(colour, height, width, samples), view, height, width)


@_compiled
def render_all(
    scene: Scene, view: View, height: int = 224, width: int = 224, shadows: bool = True, samples: int = 1
) -> Picture:
    """Like `render`, with depth and segmentation, which are those of the pixels' centres."""
    colour, rays, hits = _sample(scene, view, height, width, shadows, samples)
    if samples > 1:
        rays = camera_rays(view, height, width)
        hits = _hits(scene, view, rays)
    ok = _finite(view)
    geom = jnp.where(ok, hits.geom, -1).reshape(height, width)
    depth = (hits.distance * rays.cosine).reshape(height, width)
    rgb = _to_bytes(_pool(colour, height, width, samples), view, height, width)
    return Picture(rgb, jnp.where(geom >= 0, depth, scene.clip[1]), geom)


def camera_rays(view: View, height: int, width: int) -> Rays:
    """One ray through the centre of every pixel."""
    half = jnp.tan(0.5 * jnp.deg2rad(view.fovy))
    step = 2.0 * half / height
    columns, rows = jnp.arange(width, dtype=jnp.float32), jnp.arange(height, dtype=jnp.float32)
    x, y = (columns - 0.5 * (width - 1)) * step, (0.5 * (height - 1) - rows) * step
    x, y = (a.reshape(-1) for a in jnp.meshgrid(x, y))
    right, up, back = (Vec.of(view.camera_mat[:, k]) for k in range(3))
    cosine = jax.lax.rsqrt(1.0 + x * x + y * y)
    direction = right.times(x).plus(up.times(y)).minus(back)
    return Rays(direction.times(cosine), cosine, step * cosine)


def _sample(
    scene: Scene, view: View, height: int, width: int, shadows: bool, samples: int
) -> tuple[Vec, Rays, Hits]:
    rays = camera_rays(view, height * samples, width * samples)
    hits = _hits(scene, view, rays)
    colour = shade(scene, view, rays.direction, hits, rays.spread, shadows)
    sky = sky_colour(scene.sky, rays.direction) if scene.has_sky else Vec(*(jnp.zeros(()) for _ in range(3)))
    return Vec(*(jnp.where(hits.geom >= 0, c, s) for c, s in zip(colour, sky, strict=True))), rays, hits


def _hits(scene: Scene, view: View, rays: Rays) -> Hits:
    near, far = scene.clip
    hits = nearest(scene, view, rays.direction, near / rays.cosine)
    return Hits(hits.distance, jnp.where(hits.distance * rays.cosine <= far, hits.geom, -1))


def _pool(colour: Vec, height: int, width: int, samples: int) -> Vec:
    """Means over samples x samples rays."""
    if samples == 1:
        return colour
    return Vec(*(c.reshape(height, samples, width, samples).mean((1, 3)) for c in colour))


def _to_bytes(colour: Vec, view: View, height: int, width: int) -> UInt8[Array, "height width 3"]:
    """Colours from 0 to 1 -> uint8.

    The channels travel as the bytes of one word: stacking them would make XLA's CPU compiler
    shade every pixel three times, one channel at a time (2.7 times the run time of a frame).
    """
    red, green, blue = (jnp.round(c * 255.0).astype(jnp.uint32) for c in colour)
    word = jnp.where(_finite(view), red | (green << 8) | (blue << 16), 0)
    return jax.lax.bitcast_convert_type(word.reshape(height, width), jnp.uint8)[..., :3]


def _finite(view: View) -> Array:
    return jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in view]).all()
