"""Frames: rays through pixels, what they hit, and its colour."""

import functools
import operator
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import UInt8

from jaxrm.render import tiles, warp
from jaxrm.render.grid import Grid
from jaxrm.render.scene import Scene
from jaxrm.render.tiles import Rules
from jaxrm.render.view import Picture, View, is_finite

Backend = Literal["raycast", "warp"]
_STATIC = ("height", "width", "shadows", "samples", "backend")


@functools.partial(jax.jit, static_argnames=(*_STATIC, "dtype"))
def render(
    scene: Scene,
    view: View,
    height: int = 224,
    width: int = 224,
    shadows: bool = True,
    samples: int = 1,
    backend: Backend = "raycast",
    dtype: jax.typing.DTypeLike = jnp.uint8,
) -> UInt8[Array, "height width 3"]:
    """Draws one pose; `vmap` over `view` (and `scene`, if looks vary) for a batch.

    Args:
      scene: shapes and colours.
      view: positions.
      height, width: size of the frame, pixels; static.
      shadows: whether the lights that cast shadows do; static.
      samples: each pixel is the mean of samples x samples rays; static.
      backend: "raycast", or "warp" for MJX-Warp's renderer (see `jaxrm.render.warp`); static.
      dtype: uint8; or float32 for colours from 0 to 1 that can be differentiated with respect to `view` and
        the arrays of `scene` (edges and shadows do not move in the gradient); static.

    Returns:
      [height, width, 3]; black if anything in `view` is not finite.

    Raises:
      ValueError: another backend or dtype, or sizes below 1.
      RuntimeError: the backend cannot run here; the message says why.
    """
    grid = _grid(view, height, width, samples)
    if _is_warp(backend):
        if jnp.dtype(dtype) != jnp.uint8:
            raise ValueError("MJX-Warp gives uint8 frames only: nothing can be differentiated through it")
        return warp.draw(scene.source, view, height, width, shadows, samples, warp.Looks.of(scene))
    if jnp.dtype(dtype) == jnp.float32:
        drawn = tiles.draw(scene, view, Rules(grid, shadows, ("red", "green", "blue")))
        colour = jnp.stack([grid.frame(channel) for channel in drawn.values()], axis=-1)
        return jnp.where(is_finite(view), colour, 0.0)
    if jnp.dtype(dtype) != jnp.uint8:
        raise ValueError(f"frames are uint8 or float32, not {jnp.dtype(dtype)}")
    return _to_bytes(grid.frame(tiles.draw(scene, view, Rules(grid, shadows, ("words",)))["words"]), view)


@functools.partial(jax.jit, static_argnames=_STATIC)
def render_all(
    scene: Scene,
    view: View,
    height: int = 224,
    width: int = 224,
    shadows: bool = True,
    samples: int = 1,
    backend: Backend = "raycast",
) -> Picture:
    """Like `render`, with depth and segmentation, which are those of the pixels' centres.

    Depth can be differentiated with respect to `view` and the sizes of `scene`.
    """
    grid = _grid(view, height, width, samples)._replace(samples=1)
    if _is_warp(backend):
        looks = warp.Looks.of(scene)
        return warp.draw_all(scene.source, view, height, width, shadows, samples, looks)
    drawn = tiles.draw(scene, view, Rules(grid, shadows, ("words", "depth", "geom")))
    if samples == 1:
        rgb = _to_bytes(grid.frame(drawn["words"]), view)
    else:
        rgb = render(scene, view, height, width, shadows, samples)
    ok, far = is_finite(view), scene.clip[1]
    depth, geom = grid.frame(drawn["depth"]), grid.frame(drawn["geom"])
    return Picture(rgb, jnp.where(ok, depth, far), jnp.where(ok, geom, -1))


def _is_warp(backend: str) -> bool:
    if backend not in get_args(Backend):
        raise ValueError(f"backend must be one of {get_args(Backend)}, not {backend!r}")
    return backend == "warp"


def _grid(view: View, height: int, width: int, samples: int) -> Grid:
    if view.fovy.ndim:
        raise ValueError("this is a batch of views: draw it by jax.vmap(lambda v: render(scene, v, ...))")
    height, width, samples = (operator.index(n) for n in (height, width, samples))
    if min(height, width, samples) < 1:
        raise ValueError(f"height, width and samples must be at least 1, not {height}, {width}, {samples}")
    return Grid.of(height, width, samples)


def _to_bytes(words: Array, view: View) -> UInt8[Array, "height width 3"]:
    words = jnp.where(is_finite(view), words, 0)
    return jax.lax.bitcast_convert_type(words, jnp.uint8)[..., :3]
