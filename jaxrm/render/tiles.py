"""All tiles of all frames of a batch: which are drawn together, and what of.

On a CPU the tiles of a whole batch are sorted by how many geoms they may see, and drawn in chunks that
fit its cache: a tile of sky next to tiles of sky, at the cost of sky. Other devices hide the latency of
memory and would wait at every turn of a loop whose length they do not know: they are given all tiles of
a frame and all geoms at once.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Int

from jaxrm.render import cull, faces, images
from jaxrm.render.background import over_background
from jaxrm.render.grid import Grid, Rays, tile_rays
from jaxrm.render.scene import Scene
from jaxrm.render.shade import shade
from jaxrm.render.trace import Hits, Sets, nearest, visible
from jaxrm.render.vectors import Vec, once
from jaxrm.render.view import View
from jaxrm.render.world import World
from jaxrm.spread import axes_of, on_parts

_CHUNK_RAYS = 16384  # rays drawn at a time


class Rules(NamedTuple):
    """What is drawn, and how; static.

    Attributes:
      grid: size of the frame.
      shadows: whether lights cast them.
      wanted: keys of what is drawn, see `Drawn`.
    """

    grid: Grid
    shadows: bool
    wanted: tuple[str, ...]


# Pixels of tiles [..., tiles, pixels]:
#   words: colours in one word, red in the lowest byte; stacking three arrays would make XLA's CPU compiler
#     shade every pixel three times, one channel at a time;
#   red, green, blue: from 0 to 1;
#   depth: metres along the camera's axis, the far plane's where there is nothing;
#   geom: ids, -1 for none.
Drawn = dict[str, Array]


def draw(scene: Scene, view: View, rules: Rules) -> Drawn:
    """The tiles of one frame [tiles, pixels]; batches by `vmap`."""
    if jax.default_backend() != "cpu":
        return _draw_all(scene, view, rules)
    return _draw_culled(rules)(scene, view)


def _draw_all(scene: Scene, view: View, rules: Rules) -> Drawn:
    """All tiles at once, each with all geoms; can be differentiated."""
    tile = jnp.arange(rules.grid.tiles)
    return _draw_some(World.of(*_with_axis(scene, view)), None, jnp.zeros_like(tile), tile, rules)


def _with_axis(scene: Scene, view: View) -> tuple[Scene, View]:
    """A batch of one frame."""
    batch = jax.tree.map(lambda leaf: leaf[None], (scene, view))
    return dataclasses.replace(batch[0], assets=scene.assets), batch[1]


@functools.lru_cache
def _draw_culled(rules: Rules) -> Callable[[Scene, View], Drawn]:
    """Only geoms that can be seen; loops of unknown length have no gradient, so it is that of `_draw_all`."""

    @jax.custom_jvp
    def draw_one(scene: Scene, view: View) -> Drawn:
        return jax.tree.map(lambda leaf: leaf[0], _draw_batch(rules)(*_with_axis(scene, view)))

    @draw_one.defjvp
    def _(primals: tuple, tangents: tuple) -> tuple[Drawn, Drawn]:
        return jax.jvp(lambda scene, view: _draw_all(scene, view, rules), primals, tangents)

    return draw_one


@functools.lru_cache
def _draw_batch(rules: Rules) -> Callable[[Scene, View], Drawn]:
    """Frames [frames, ...] -> tiles [frames, tiles, pixels]; under `vmap` batches become one larger batch."""

    @jax.custom_batching.custom_vmap
    def draw_batch(scene: Scene, view: View) -> Drawn:
        return _draw_sorted(World.of(scene, view), rules)

    @draw_batch.def_vmap
    def _(axis_size: int, batched: tuple[Scene, View], scene: Scene, view: View) -> tuple[Drawn, Drawn]:
        def whole(leaf: Array, is_batched: bool) -> Array:
            return leaf if is_batched else jnp.broadcast_to(leaf, (axis_size, *leaf.shape))

        worlds, flags = (scene, view), tuple(batched)
        axes = jax.tree.map(lambda leaf, is_batched: axes_of(leaf, 1) if is_batched else None, worlds, flags)
        if jax.tree.leaves(axes):
            over = jax.tree.map(lambda is_batched: 0 if is_batched else None, flags)
            drawn = on_parts(jax.vmap(draw_batch, over), worlds, axes)
            return drawn, jax.tree.map(lambda _: True, drawn)
        frames = view.fovy.shape[-1]
        if any(jax.tree.leaves(batched[0].assets)):  # of images and meshes there is one set at a time
            worlds = jax.tree.map(whole, (scene, view), tuple(batched))
            drawn = jax.lax.map(lambda one: draw_batch(*one), worlds)
        else:

            def merge(leaf: Array, is_batched: bool) -> Array:
                return whole(leaf, is_batched).reshape(axis_size * frames, *leaf.shape[1 + is_batched :])

            bare = dataclasses.replace(scene, assets=None), view
            flags = dataclasses.replace(batched[0], assets=None), batched[1]
            merged = jax.tree.map(merge, bare, flags)
            drawn = draw_batch(dataclasses.replace(merged[0], assets=scene.assets), merged[1])
            drawn = jax.tree.map(lambda leaf: leaf.reshape(axis_size, frames, *leaf.shape[1:]), drawn)
        return drawn, jax.tree.map(lambda _: True, drawn)

    return draw_batch


def _draw_sorted(world: World, rules: Rules) -> Drawn:
    """The tiles of all frames in chunks of about equally many geoms: [frames, tiles, pixels]."""
    frames, tiles = world.view.fovy.shape[0], rules.grid.tiles
    total = frames * tiles
    if not total:
        return _nothing(rules)
    sets = visible(world, rules.grid)
    busy = sum((cull.size(words) for words in sets.values()), jnp.zeros(total, jnp.int32))
    order = _busiest_first(busy)
    chunks = -(-total * rules.grid.rays // _CHUNK_RAYS)
    length = -(-total // chunks)
    padded = jnp.pad(order, (0, chunks * length - total), mode="edge")

    def chunk(number: Array) -> Drawn:
        own = {kind: words[number] for kind, words in sets.items()}
        return _draw_some(world, own, number // tiles, number % tiles, rules)

    drawn = jax.lax.map(chunk, padded.reshape(chunks, length))
    place = jnp.zeros(total, jnp.int32).at[order].set(jnp.arange(total, dtype=jnp.int32))

    def sort_back(leaf: Array) -> Array:
        return leaf.reshape(chunks * length, -1)[place].reshape(frames, tiles, -1)

    return jax.tree.map(sort_back, drawn)


def _nothing(rules: Rules) -> Drawn:
    """An empty batch."""
    grid, types = rules.grid, {"words": jnp.uint32, "geom": jnp.int32}
    shape = 0, grid.tiles, grid.tile_height * grid.tile_width
    return {key: jnp.zeros(shape, types.get(key, jnp.float32)) for key in rules.wanted}


def _busiest_first(busy: Int[Array, "tiles"]) -> Int[Array, "tiles"]:
    """The order of tiles; one array of words sorts several times faster than numbers with their places."""
    total = busy.shape[0]
    most = jnp.uint32(jnp.iinfo(jnp.uint32).max // total - 1)  # what is busier counts as equally so
    quiet = most - jnp.minimum(busy.astype(jnp.uint32), most)
    place = jnp.arange(total, dtype=jnp.uint32)
    return (jnp.sort(quiet * total + place) % total).astype(jnp.int32)


def _draw_some(world: World, sets: Sets | None, frame: Array, tile: Array, rules: Rules) -> Drawn:
    """Some tiles [tiles]: the pixels of each.

    Args:
      sets: what each may see; None for everything.
      frame: number of each tile's frame.
      tile: number of the tile in its frame.
    """
    grid, view = rules.grid, world.view
    rays = tile_rays(grid, view.camera_mat[frame], view.fovy[frame], tile)
    # barriers: what is used many times is computed once
    rays = once(rays)
    hits = once(nearest(world, frame, rays, sets))
    colour = shade(world, frame, rays, hits, rules.shadows, sets is not None)
    colour = over_background(world, frame, rays, hits, colour)
    return {key: _pixels(key, world, rays, hits, colour, grid) for key in rules.wanted}


def _pixels(key: str, world: World, rays: Rays, hits: Hits, colour: Vec, grid: Grid) -> Array:
    """One entry of `Drawn`."""
    if key == "depth":
        return jnp.where(hits.face >= 0, hits.distance * rays.cosine, world.scene.clip[1])
    if key == "geom":
        return jnp.where(hits.face >= 0, faces.geom_of(world.scene, hits.face), -1)
    channels = dict(zip(("red", "green", "blue"), (jax.vmap(grid.pixels)(c) for c in colour), strict=True))
    if key in channels:
        return channels[key]
    return images.pack(*(jnp.round(c * 255.0).astype(jnp.uint32) for c in channels.values()))
