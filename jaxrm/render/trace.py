"""Rays against geoms: the nearest front face of each.

Each kind of geom has a loop of its own, every turn of which tests the rays of a chunk of tiles against
one geom per tile: a small body whose arrays stay in cache, and compile time that does not grow with the
number of geoms. Culled, the loop runs as often as the fullest tile of the chunk has geoms to test.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int, UInt32

from jaxrm.render import cull, faces
from jaxrm.render.grid import Grid, Rays
from jaxrm.render.shapes import SHAPES, Shape, Solid, enter_plane
from jaxrm.render.vectors import Vec, look_up, once
from jaxrm.render.world import World

FAR = 1e10  # metres; the distance of a miss
Sets = dict[str, UInt32[Array, "tiles words"]]
T = TypeVar("T")


class Hits(NamedTuple):
    """For every ray: how far its nearest face is (metres along the unit ray; `FAR` for none), and whose.

    `face` is the number of a geom; behind all geoms follow the triangles of meshes; -1 for none.
    """

    distance: Float[Array, "*rays"]
    face: Int[Array, "*rays"]

    def ends(self, rays: Rays) -> tuple[Array, Vec]:
        """How long rays are and where they end, relative to the camera; 1 m where they hit nothing."""
        length = jnp.where(self.face >= 0, self.distance, 1.0)
        return length, rays.direction.times(length)


def nearest(world: World, frame: Int[Array, "tiles"], rays: Rays, sets: Sets | None) -> Hits:
    """First front faces that the rays [tiles, rays] meet behind the near plane.

    Geoms that contain the camera, or reach nearer than the near plane, are looked through: back faces
    are not drawn in MuJoCo either.

    Args:
      world: everything in the frames.
      frame: which frame each tile belongs to.
      rays: from the camera.
      sets: the geoms of each kind that each tile may see; None for all.
    """
    scene, start = world.scene, world.scene.clip[0] / rays.cosine
    # made of the rays: under `shard_map` a loop's first values must vary over devices as its later ones do
    far, nothing = jnp.where(start > 0, FAR, FAR), jnp.where(start > 0, -1, -1)
    hits = Hits(far.astype(start.dtype), nothing.astype(jnp.int32))
    for kind, shape in SHAPES.items():
        if not getattr(scene, kind):
            continue
        ids = jnp.array(getattr(scene, kind))

        def test(hits: Hits, solid: Solid, index: Array, shape: Shape = shape, ids: Array = ids) -> Hits:
            distance, hit = shape.enter(solid, rays.direction)
            return _closer(hits, distance, hit & (distance > start), ids[index])

        hits = each(world.solids(kind), frame, None if sets is None else sets[kind], test, hits)
    for plane in scene.planes:
        distance, hit = enter_plane(world.solid(world.index(frame[:, None], plane)), rays.direction)
        hits = _closer(hits, distance, hit & (distance > start), jnp.int32(plane))
    if scene.meshes:

        def test_faces(hits: Hits, solid: Solid, index: Array) -> Hits:
            def test(best: Hits, distance: Array, front: Array, hit: Array, face: Array) -> Hits:
                return _closer(best, distance, hit & front & (distance > start), face)

            return faces.fold(scene, test, hits, solid, index, rays.direction)

        hits = each(faces.clusters(world), frame, None if sets is None else sets["meshes"], test_faces, hits)
    far = hits.distance * rays.cosine > scene.clip[1]
    return Hits(hits.distance, jnp.where(far, -1, hits.face))


def visible(world: World, grid: Grid) -> Sets:
    """The geoms that each tile of each frame may see [frames * tiles, words], by kind."""
    scene, view = world.scene, world.view
    solids = {kind: (world.solids(kind), shape) for kind, shape in SHAPES.items() if getattr(scene, kind)}
    if scene.meshes:
        solids["meshes"] = faces.clusters(world), faces.ROUND
    sets = {}
    for kind, (group, shape) in solids.items():
        one = functools.partial(cull.visible, grid, shape=shape)
        words = jax.vmap(one)(view.camera_mat, view.fovy, group)
        sets[kind] = words.reshape(-1, words.shape[-1])
    return sets


def each(
    solids: Solid,
    frame: Int[Array, "tiles"],
    sets: UInt32[Array, "tiles words"] | None,
    test: Callable[[T, Solid, Array], T],
    carry: T,
) -> T:
    """Folds `test(carry, solid [tiles, 1], its index [tiles, 1])` over the solids that each tile may see.

    Args:
      solids: of one kind, [frames, n].
      frame: which frame each tile belongs to.
      sets: which of the solids; None for all, with a loop that can be differentiated.
    """
    n = solids.size.x.shape[1]
    # one row of numbers per solid, so that a turn of the loop reads it at once
    leaves, structure = jax.tree.flatten(solids)
    table = jnp.stack(leaves, axis=-1).reshape(-1, len(leaves))

    def turn(carry: T, index: Array) -> T:
        row = once(look_up(table, frame * n + index))  # read once per tile, not per ray
        solid = jax.tree.unflatten(structure, [row[:, k, None] for k in range(len(leaves))])
        return test(carry, solid, jnp.broadcast_to(index, frame.shape)[:, None])

    if sets is None:
        unroll = 1 if jax.default_backend() == "cpu" else 8  # geoms that a GPU's kernel tests in one pass
        return jax.lax.scan(lambda c, i: (turn(c, i), None), carry, jnp.arange(n), unroll=unroll)[0]

    def culled(_: Array, state: tuple[T, Array]) -> tuple[T, Array]:
        index, rest = cull.pop(state[1], n)
        return turn(state[0], index), rest  # a tile that is done tests any geom again: no harm

    return jax.lax.fori_loop(0, jnp.max(cull.size(sets)), culled, (carry, sets))[0]


def _closer(best: Hits, distance: Array, hit: Array, face: Array) -> Hits:
    better = hit & (distance < best.distance)
    return Hits(
        jnp.where(better, distance, best.distance),
        jnp.where(better, face.astype(best.face.dtype), best.face),
    )
