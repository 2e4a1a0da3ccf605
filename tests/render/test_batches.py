"""One frame is the same in every batch: of poses, of looks, nested, one by one, on many devices."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrm.render import Scene, View, is_finite, render_all

from .conftest import HEIGHT, OPTIMISED, WIDTH, Gallery

WORLDS = 64

ON_DEVICES = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from bench.scenes import humanoid21, random_pose
from jaxrm.render import Camera, Scene, render

assert jax.device_count() == 8
model, rng = humanoid21(), np.random.default_rng(0)
scene, camera = Scene.from_mujoco(model), Camera.free(3, 90, -15, (0, 0, 1))
views = [scene.view(random_pose(model, rng), camera) for _ in range(16)]
batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *views)
one = lambda view: render(scene, view, 24, 40)
shard = jax.shard_map(
    jax.vmap(one), mesh=Mesh(jax.devices(), "worlds"),
    in_specs=PartitionSpec("worlds"), out_specs=PartitionSpec("worlds"),
)
frames = jax.jit(shard)(batch)
assert len(frames.sharding.device_set) == 8
assert len(np.unique(np.asarray(frames).reshape(16, -1), axis=0)) == 16
for frame, view in zip(np.asarray(frames), views, strict=True):
    np.testing.assert_array_equal(frame, one(view))

for mesh in (Mesh(jax.devices(), "worlds"), jax.make_mesh((8,), ("worlds",))):  # axes automatic and explicit
    spread = jax.device_put(batch, NamedSharding(mesh, PartitionSpec("worlds")))
    for draw in (jax.vmap(one), jax.jit(jax.vmap(one))):
        again = draw(spread)
        assert again.sharding.spec[0] == "worlds"
        np.testing.assert_array_equal(again, frames)
"""


def stack(trees: list) -> View:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


@pytest.fixture(scope="module")
def views(gallery: Gallery) -> list[View]:
    """Six poses from six places, of which number 2 is not finite."""
    rng = np.random.default_rng(0)
    poses = []
    for _ in range(6):
        looking = gallery.look(rng.uniform(-3, 3, 3) + np.array([0, 0, 4]), np.array([0, 0, 0.8]))
        shift = rng.uniform(-0.3, 0.3, gallery.view.geom_pos.shape) * (np.arange(7) > 0)[:, None]
        poses.append(looking._replace(geom_pos=gallery.view.geom_pos + jnp.asarray(shift, jnp.float32)))
    poses[2] = poses[2]._replace(geom_pos=poses[2].geom_pos.at[3, 1].set(jnp.nan))
    return poses


def test_batches_draw_what_single_calls_draw(gallery: Gallery, views: list[View]):
    def draw(view: View):
        return render_all(gallery.scene, view, HEIGHT, WIDTH)

    batch = stack(views)
    singles = stack([draw(view) for view in views])
    squares = jax.tree.map(lambda leaf: leaf.reshape(2, 3, *leaf.shape[1:]), batch)
    nested = jax.jit(jax.vmap(jax.vmap(draw)))(squares)
    np.testing.assert_array_equal(is_finite(batch), [True, True, False, True, True, True])
    np.testing.assert_array_equal(is_finite(squares), [[True, True, False], [True] * 3])
    assert not singles.rgb[2].any() and (singles.segmentation[2] == -1).all()
    assert all(singles.rgb[i].any() for i in (0, 1, 3, 4, 5))
    for name, other in {
        "vmap": jax.jit(jax.vmap(draw))(batch),
        "nested": jax.tree.map(lambda leaf: leaf.reshape(6, *leaf.shape[2:]), nested),
        "map": jax.jit(lambda b: jax.lax.map(draw, b))(batch),
    }.items():
        jax.tree.map(lambda a, b, n=name: np.testing.assert_array_equal(a, b, err_msg=n), other, singles)


def test_an_empty_batch_has_no_frames(gallery: Gallery, views: list[View]):
    none = jax.tree.map(lambda leaf: leaf[:0], stack(views))
    picture = jax.vmap(lambda view: render_all(gallery.scene, view, HEIGHT, WIDTH))(none)
    assert picture.rgb.shape == (0, HEIGHT, WIDTH, 3) and picture.rgb.dtype == jnp.uint8
    assert picture.segmentation.shape == picture.depth.shape == (0, HEIGHT, WIDTH)


def test_64_bits_draw_what_32_bits_draw(gallery: Gallery, views: list[View]):
    def draw(view: View):
        return render_all(gallery.scene, view, HEIGHT, WIDTH)

    narrow = jax.vmap(draw)(stack(views))
    with jax.enable_x64(True):
        double = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), stack(views))
        wide = jax.vmap(draw)(double)
    assert (np.asarray(wide.segmentation) == np.asarray(narrow.segmentation)).mean() > 0.999
    off = np.abs(np.asarray(wide.rgb, int) - np.asarray(narrow.rgb, int))
    assert (off <= 1).mean() > 0.999


def test_sixty_four_looks_in_one_call(gallery: Gallery):
    scene, rng = gallery.scene, np.random.default_rng(1)

    def look(colours: jax.Array, sizes: jax.Array, light: jax.Array) -> Scene:
        lights = dataclasses.replace(scene.lights, diffuse=light)
        return dataclasses.replace(scene, rgba=colours, size=sizes, lights=lights)

    colours = jnp.asarray(rng.uniform(0, 1, (WORLDS, *scene.rgba.shape)), jnp.float32)
    sizes = scene.size * jnp.asarray(rng.uniform(0.6, 1.4, (WORLDS, 7, 1)), jnp.float32)
    light = jnp.asarray(rng.uniform(0, 1, (WORLDS, *scene.lights.diffuse.shape)), jnp.float32)

    def draw(*looks: jax.Array):
        return render_all(look(*looks), gallery.view, HEIGHT, WIDTH)

    pictures = jax.jit(jax.vmap(draw))(colours, sizes, light)
    assert len(np.unique(np.asarray(pictures.rgb).reshape(WORLDS, -1), axis=0)) == WORLDS
    assert len(np.unique(np.asarray(pictures.segmentation).reshape(WORLDS, -1), axis=0)) > WORLDS // 2
    for i in range(WORLDS):
        single = draw(colours[i], sizes[i], light[i])
        np.testing.assert_array_equal(pictures.rgb[i], single.rgb)
        np.testing.assert_array_equal(pictures.segmentation[i], single.segmentation)


def test_eight_devices_draw_what_one_draws(on_devices):
    on_devices(ON_DEVICES, **OPTIMISED)
