"""The frame as a grid of square tiles of pixels, and the rays through them."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int

from jaxrm.render.vectors import Vec

_TILE = 8  # pixels; small enough that most tiles see no geom, large enough to fill a SIMD unit


class Grid(NamedTuple):
    """Static sizes: the frame in pixels, rays per pixel along each axis, the tile in pixels."""

    height: int
    width: int
    samples: int
    tile_height: int
    tile_width: int

    @classmethod
    def of(cls, height: int, width: int, samples: int) -> "Grid":
        return cls(height, width, samples, min(_TILE, height), min(_TILE, width))

    @property
    def rows(self) -> int:
        return -(-self.height // self.tile_height)

    @property
    def columns(self) -> int:
        return -(-self.width // self.tile_width)

    @property
    def tiles(self) -> int:
        return self.rows * self.columns

    @property
    def rays(self) -> int:
        """Rays of a tile."""
        return self.tile_height * self.tile_width * self.samples**2

    def pixels(self, values: Array) -> Array:
        """Rays of a tile [rays] -> means over its pixels [pixels]."""
        if self.samples == 1:
            return values
        split = (self.tile_height, self.samples, self.tile_width, self.samples)
        return values.reshape(split).mean((1, 3)).reshape(-1)

    def frame(self, tiles: Array) -> Array:
        """Pixels of all tiles [..., tiles, pixels] -> frame [..., height, width]."""
        # one axis at a time: frames that are spread over an explicit mesh cannot be reshaped otherwise
        batch = tiles.shape[:-2]
        height, width = self.rows * self.tile_height, self.columns * self.tile_width
        lines = tiles.reshape(*batch, self.rows, self.columns, self.tile_height * self.tile_width)
        lines = lines.reshape(*lines.shape[:-1], self.tile_height, self.tile_width)
        lines = jnp.swapaxes(lines, -3, -2)
        lines = lines.reshape(*lines.shape[:-2], width)
        whole = lines.reshape(*batch, height, width)
        return whole[..., : self.height, : self.width]


class Rays(NamedTuple):
    """Rays from the camera through tiles [tiles, rays]."""

    direction: Vec  # unit vectors
    cosine: Array  # of the angle to the camera's axis
    spread: Array  # between neighbouring rays, radians


def image_step(grid: Grid, fovy: Array) -> Array:
    """Distance of neighbouring pixels on the image plane one metre before the camera."""
    return 2.0 * jnp.tan(0.5 * jnp.deg2rad(fovy)) / grid.height


def tile_rays(
    grid: Grid, camera_mat: Float[Array, "tiles 3 3"], fovy: Float[Array, "tiles"], tile: Int[Array, "tiles"]
) -> Rays:
    """Rays through the pixels of tiles, row by row; tile 0 is at the top left."""
    n, step = grid.samples, image_step(grid, fovy)[:, None]
    rows, columns = (size * n for size in (grid.tile_height, grid.tile_width))
    down, across = np.divmod(np.arange(rows * columns, dtype=np.float32), columns)
    row, column = tile // grid.columns * grid.tile_height, tile % grid.columns * grid.tile_width
    x = (column[:, None] + (across + 0.5) / n - 0.5 * grid.width) * step
    y = (0.5 * grid.height - (row[:, None] + (down + 0.5) / n)) * step
    right, up, back = (Vec.of(camera_mat[:, None, :, k]) for k in range(3))
    cosine = 1.0 / jnp.sqrt(1.0 + x * x + y * y)
    direction = right.times(x).plus(up.times(y)).minus(back)
    return Rays(direction.times(cosine), cosine, step / n * cosine)
