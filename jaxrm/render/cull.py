"""Which geoms a tile can see at all: sets of geoms as bits of machine words.

A tile sees a geom where the geom reaches into the wedge between the tile's left and right edge and
into that between its upper and lower edge. Both depend on a tile's column or row alone, so the tests
number rows + columns, not tiles, and two words joined by `and` give the set of a tile.
"""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int, UInt32

from jaxrm.render.grid import Grid, image_step
from jaxrm.render.shapes import Shape, Solid
from jaxrm.render.vectors import Vec

_SLACK = 1e-5  # of the distance: what rounding may move


def visible(
    grid: Grid, camera_mat: Float[Array, "3 3"], fovy: Array, solids: Solid, shape: Shape
) -> UInt32[Array, "tiles words"]:
    """The solids [n] that rays of each tile may hit; never misses one."""
    step = image_step(grid, fovy)
    across, down = (jnp.arange(n + 1, dtype=jnp.float32) for n in (grid.columns, grid.rows))
    x = (jnp.minimum(across * grid.tile_width, grid.width) - 0.5 * grid.width) * step
    y = (0.5 * grid.height - jnp.minimum(down * grid.tile_height, grid.height)) * step
    right, up, back = (Vec.of(camera_mat[:, k]) for k in range(3))
    columns = _within(solids, shape, right.plus(back.times(x[:-1])), right.plus(back.times(x[1:])))
    rows = _within(solids, shape, up.plus(back.times(y[1:])), up.plus(back.times(y[:-1])))
    return (rows[:, None] & columns[None]).reshape(grid.tiles, -1)


def _within(solids: Solid, shape: Shape, low: Vec, high: Vec) -> UInt32[Array, "wedges words"]:
    """Solids on the inner side of the plane of normal `low` and on the other side of that of `high`."""
    low, high = low.unit(), high.times(-1.0).unit()
    inside = _reaches(solids, shape, low) & _reaches(solids, shape, high)
    return pack(inside)


def _reaches(solids: Solid, shape: Shape, n: Vec) -> Bool[Array, "wedges n"]:
    """Whether solids reach to the inner side of planes through the origin of the rays."""
    n = Vec(*(c[..., None] for c in n))
    away = solids.offset.dot(n)
    slack = _SLACK * jnp.sqrt(solids.offset.dot(solids.offset))
    return shape.reach(solids.size, solids.local(n)) + slack > away


def pack(members: Bool[Array, "*sets n"]) -> UInt32[Array, "*sets words"]:
    """Sets as bits."""
    n = members.shape[-1]
    words = -(-n // 32)
    padded = jnp.pad(members, [(0, 0)] * (members.ndim - 1) + [(0, 32 * words - n)])
    bits = padded.reshape(*members.shape[:-1], words, 32).astype(jnp.uint32)
    return jnp.sum(bits << jnp.arange(32, dtype=jnp.uint32), axis=-1, dtype=jnp.uint32)


def size(sets: UInt32[Array, "*sets words"]) -> Int[Array, "*sets"]:
    """How many members sets have."""
    return jnp.sum(jax.lax.population_count(sets), axis=-1).astype(jnp.int32)


def pop(
    sets: UInt32[Array, "*sets words"], n: int
) -> tuple[Int[Array, "*sets"], UInt32[Array, "*sets words"]]:
    """Takes the lowest member out of each set; of an empty set any number below n."""
    first = jnp.argmax(sets != 0, axis=-1).astype(jnp.int32)
    word = jnp.take_along_axis(sets, first[..., None], axis=-1)[..., 0]
    bit = jax.lax.population_count((word & (~word + 1)) - 1).astype(jnp.int32)
    here = jnp.arange(sets.shape[-1]) == first[..., None]
    return jnp.minimum(32 * first + bit, n - 1), jnp.where(here, (word & (word - 1))[..., None], sets)
