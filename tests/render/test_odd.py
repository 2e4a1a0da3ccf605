"""The odd cases: degenerate sizes, far away, not finite, cameras in and before geoms, few and many geoms."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from bench.scenes import many_geoms, random_pose
from jaxrm.render import Camera, Scene, render_all, tiles
from jaxrm.render.grid import Grid

from .conftest import Gallery

THIN = 1e-9  # metres
ONE = '<mujoco><worldbody><geom type="sphere" size=".3"/></worldbody></mujoco>'
NONE = "<mujoco><worldbody/></mujoco>"
SIDE = Camera((0, -3, 0), (0, 0, 0))


@pytest.mark.parametrize(
    "geom, size",
    [
        (1, (THIN, 0, 0)),
        (2, (0.12, 0, 0)),
        (2, (THIN, 0.3, 0)),
        (3, (0.15, 0.25, THIN)),
        (3, (THIN, THIN, THIN)),
        (4, (0.2, THIN, 0)),
        (4, (THIN, 0.3, 0)),
        (5, (0.2, 0.3, THIN)),
        (5, (THIN, THIN, THIN)),
    ],
)
def test_degenerate_sizes_leave_the_rest_of_the_frame_alone(
    gallery: Gallery, geom: int, size: tuple[float, ...]
):
    whole = gallery.draw(gallery.scene, gallery.view)
    scene = dataclasses.replace(gallery.scene, size=gallery.scene.size.at[geom].set(jnp.array(size)))
    thin = gallery.draw(scene, gallery.view)
    before, after = whole.segmentation == geom, thin.segmentation == geom
    assert before.sum() > after.sum()
    assert np.isfinite(thin.depth).all() and (thin.depth > 0).all()
    np.testing.assert_array_equal(thin.segmentation[~before], whole.segmentation[~before])
    np.testing.assert_array_equal(thin.depth[~before & ~after], whole.depth[~before & ~after])


def test_a_face_without_area_is_a_hole(gallery: Gallery):
    whole = gallery.draw(gallery.scene, gallery.view)
    meshes = gallery.scene.assets.meshes
    assert (whole.segmentation == 6).any()
    for corners in (meshes.corners.at[:, 6:].set(meshes.corners[:, 3:6]), jnp.zeros_like(meshes.corners)):
        flat = dataclasses.replace(gallery.scene.assets, meshes=dataclasses.replace(meshes, corners=corners))
        holed = gallery.draw(dataclasses.replace(gallery.scene, assets=flat), gallery.view)
        assert np.isfinite(holed.depth).all() and not (holed.segmentation == 6).any()
        others = whole.segmentation != 6
        np.testing.assert_array_equal(holed.segmentation[others], whole.segmentation[others])


def test_ten_kilometres_away(gallery: Gallery):
    here, view = gallery.draw(gallery.scene, gallery.view), gallery.view
    away = jnp.array([1e4, -1e4, 1e4])
    moved = view._replace(
        geom_pos=view.geom_pos + away, camera_pos=view.camera_pos + away, light_pos=view.light_pos + away
    )
    there = gallery.draw(gallery.scene, moved)
    same = here.segmentation == there.segmentation
    assert same.mean() >= 0.995
    bound = 0.05  # metres, on a floor seen at a slant: float32 tells apart only millimetres out there
    assert np.abs(here.depth - there.depth)[same & (here.segmentation >= 0)].max() < bound


@pytest.mark.parametrize("leaf", ["geom_pos", "geom_mat", "camera_pos", "camera_mat", "fovy", "light_pos"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_gives_a_black_frame(gallery: Gallery, leaf: str, value: float):
    broken = np.array(getattr(gallery.view, leaf))
    broken.flat[-1] = value
    picture = gallery.draw(gallery.scene, gallery.view._replace(**{leaf: jnp.asarray(broken)}))
    assert not picture.rgb.any() and (picture.segmentation == -1).all()
    assert (picture.depth == np.float32(gallery.scene.clip[1])).all()


def test_a_camera_inside_a_geom_looks_through_it(gallery: Gallery):
    for geom in range(1, 7):
        centre = np.asarray(gallery.view.geom_pos[geom])
        eye = centre + np.array([0.0, -2.0, 0.0])
        outside = gallery.draw(gallery.scene, gallery.look(eye, centre))
        assert outside.segmentation[8, 12] == geom
        inside = gallery.draw(gallery.scene, gallery.look(centre, centre + np.array([0.0, -1.0, -0.3])))
        assert not (inside.segmentation == geom).any()
        assert (inside.segmentation == 0).any()  # the floor behind
    below = gallery.draw(gallery.scene, gallery.look(np.array([0, -3, -1.0]), np.array([0, 0, -1.2])))
    assert not (below.segmentation == 0).any()


def test_geoms_behind_the_camera_are_not_seen(gallery: Gallery):
    for geom in range(1, 7):
        centre = np.asarray(gallery.view.geom_pos[geom])
        eye = centre + np.array([0.0, -2.0, 0.0])
        away = gallery.draw(gallery.scene, gallery.look(eye, eye + np.array([0.0, -1.0, 0.1])))
        assert not (away.segmentation > 0).any()
    up = gallery.draw(gallery.scene, gallery.look(np.array([0, -3, 1.0]), np.array([0, -4, 3.0])))
    assert (up.segmentation == -1).all()


@pytest.mark.parametrize("height, width", [(1, 1), (7, 31)])
def test_odd_sizes_of_one_geom_and_of_none(height: int, width: int):
    pictures = []
    for xml in (ONE, NONE):
        model = mujoco.MjModel.from_xml_string(xml)
        data, scene = mujoco.MjData(model), Scene.from_mujoco(model)
        mujoco.mj_forward(model, data)
        pictures.append(render_all(scene, scene.view(data, SIDE), height, width))
    ball, empty = pictures
    assert ball.rgb.shape == (height, width, 3)
    assert ball.segmentation[height // 2, width // 2] == 0 and ball.rgb[height // 2, width // 2].all()
    assert (np.asarray(empty.segmentation) == -1).all() and not empty.rgb.any()


def test_two_hundred_geoms_are_drawn_culled_as_without_culling():
    model = many_geoms()
    scene = Scene.from_mujoco(model)
    view = scene.view(random_pose(model, np.random.default_rng(0)), Camera.free(3.5, 120, -15, (0, 0, 1)))
    rules = tiles.Rules(Grid.of(40, 40, 1), True, ("words", "geom"))
    culled = jax.jit(tiles._draw_culled(rules))(scene, view)
    whole = jax.jit(functools.partial(tiles._draw_all, rules=rules))(scene, view)
    np.testing.assert_array_equal(culled["geom"], whole["geom"])
    assert len(np.unique(whole["geom"])) > 50
    a, b = (np.asarray(words).view(np.uint8).astype(int) for words in (culled["words"], whole["words"]))
    assert np.abs(a - b).max() <= 1  # rounding of colours: the two programs are compiled apart
