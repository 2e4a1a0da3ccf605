"""What a scene takes, what it refuses, and the frames at the edges of its use."""

import dataclasses

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from mujoco import mjx

from bench.render import random_pose
from jaxrm.render import Camera, Scene, View, render, render_all

BALLS = """
<mujoco>
  <asset>
    <texture name="grid" type="2d" builtin="checker" rgb1="1 0 0" rgb2="0 0 1" width="64" height="64"/>
    <material name="grid" texture="grid" texrepeat="1 1" texuniform="true" specular="0"/>
  </asset>
  <worldbody>
    <light name="sun" pos="0 0 3" dir="0 0 -1" directional="true"/>
    <geom name="floor" type="plane" size="{floor}" material="grid"/>
    <body name="near" pos="0 0 1"><geom name="ball" type="sphere" size=".3" rgba="0 1 0 1"/></body>
    <body name="far" pos="2 0 1"><geom name="rod" type="capsule" size=".1 .3" rgba="1 1 0 1"/></body>
    <body name="ghost" pos="0 1 1"><geom name="box" type="box" size=".1 .1 .1" rgba="1 1 1 0"/></body>
    <camera name="side" pos="0 -3 1" xyaxes="1 0 0 0 0 1"/>
  </worldbody>
</mujoco>
"""
HILL = """
<mujoco>
  <asset><hfield name="hill" nrow="4" ncol="4" size="1 1 1 .1"/></asset>
  <worldbody><geom name="hill" type="hfield" hfield="hill" rgba="RGBA"/></worldbody>
</mujoco>
"""
SIDE = Camera((0, -3, 1), (0, 0, 1))


def load(xml: str = BALLS, floor: str = "5 5 .1") -> tuple[mujoco.MjModel, mujoco.MjData]:
    m = mujoco.MjModel.from_xml_string(xml.replace("{floor}", floor))
    data = mujoco.MjData(m)
    mujoco.mj_forward(m, data)
    return m, data


def test_a_camera_of_the_model_and_one_of_the_user_agree():
    m, data = load()
    scene = Scene.from_mujoco(m)
    named, own = (
        render_all(scene, scene.view(data, "side"), 24, 32),
        render_all(scene, scene.view(data, SIDE), 24, 32),
    )
    assert named.rgb.shape == (24, 32, 3) and named.rgb.dtype == jnp.uint8
    assert named.segmentation[12, 16] == 1 and abs(float(named.depth[12, 16]) - 2.7) < 0.01
    assert named.segmentation[0, 0] == -1 and float(named.depth[0, 0]) == pytest.approx(scene.clip[1])
    np.testing.assert_array_equal(named.segmentation, own.segmentation)
    np.testing.assert_allclose(named.rgb.astype(float), own.rgb.astype(float), atol=2)
    np.testing.assert_array_equal(render(scene, scene.view(data, "side"), 24, 32), named.rgb)


def test_mjx_and_mujoco_data_give_the_same_view(body: mujoco.MjModel, scene: Scene):
    data = random_pose(body, np.random.default_rng(0))
    moved = mjx.make_data(body).replace(qpos=jnp.asarray(data.qpos, jnp.float32))

    def view_of(d: mjx.Data) -> View:
        mx = mjx.put_model(body)
        return scene.view(mjx.camlight(mx, mjx.com_pos(mx, mjx.kinematics(mx, d))), "track")

    ours, theirs = jax.jit(view_of)(moved), scene.view(data, "track")
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_red_stays_red_in_the_bytes():
    m, data = load()
    scene = dataclasses.replace(
        Scene.from_mujoco(m), rgba=jnp.tile(jnp.array([1.0, 0.5, 0.0, 1.0]), (m.ngeom, 1))
    )
    red, green, blue = np.asarray(render(scene, scene.view(data, SIDE), 9, 9, shadows=False))[4, 4].astype(
        int
    )
    assert red > green > blue and abs(red - 2 * green + blue) <= 2


def test_vmap_and_jit_draw_what_a_single_call_draws(body: mujoco.MjModel, scene: Scene):
    rng = np.random.default_rng(3)
    views = [scene.view(random_pose(body, rng), Camera.free(3, 90, -10, body="torso")) for _ in range(3)]
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *views)
    frames = jax.jit(jax.vmap(lambda view: render(scene, view, 32, 32)))(batch)
    for frame, view in zip(frames, views, strict=True):
        assert np.mean(np.abs(frame.astype(float) - render(scene, view, 32, 32)) > 2) < 0.01


def test_colours_can_be_batched():
    m, data = load()
    scene = Scene.from_mujoco(m)
    colours = jnp.stack([scene.rgba, scene.rgba.at[1, :3].set(jnp.array([1.0, 0, 0]))])
    draw = jax.vmap(lambda rgba: render(dataclasses.replace(scene, rgba=rgba), scene.view(data, SIDE), 9, 9))
    green, red = np.asarray(draw(colours))[:, 4, 4]
    assert green[1] > green[0] and red[0] > red[1]


def test_shadows_fall_below_the_ball_and_not_beside_it():
    m, data = load()
    scene = Scene.from_mujoco(m)
    view = scene.view(data, Camera((0, -3, 3), (0, 0, 0)))
    lit, dark = (
        render(scene, view, 64, 64, shadows=shadows).astype(int).sum(-1) for shadows in (False, True)
    )
    assert np.mean(lit > dark + 10) > 0.01
    assert np.all(lit[:, :16] <= dark[:, :16])  # brighter at most: each light is clamped by itself


def test_a_spot_light_casts_the_same_shadow_as_a_directional_one_far_away():
    m, data = load(BALLS.replace('pos="0 0 3"', 'pos="0 0 60"'))
    sun = Scene.from_mujoco(m)
    m, _ = load(
        BALLS.replace('pos="0 0 3"', 'pos="0 0 60"').replace('directional="true"', 'cutoff="80" exponent="0"')
    )
    spot = Scene.from_mujoco(m)
    view = sun.view(data, Camera((0, -3, 3), (0, 0, 0)))
    a, b = (render(s, view, 48, 48).astype(int) for s in (sun, spot))
    assert np.mean(np.abs(a - b).max(-1) > 8) < 0.01


@pytest.mark.parametrize("height, width", [(1, 1), (7, 31), (40, 3)])
def test_odd_sizes(height: int, width: int):
    m, data = load()
    scene = Scene.from_mujoco(m)
    picture = render_all(scene, scene.view(data, SIDE), height, width, samples=2)
    assert picture.rgb.shape == (height, width, 3)
    assert picture.segmentation[height // 2, width // 2] == 1


def test_not_a_number_gives_a_black_frame(scene: Scene, body: mujoco.MjModel):
    view = scene.view(random_pose(body, np.random.default_rng(0)), SIDE)
    broken = view._replace(geom_pos=view.geom_pos.at[3, 1].set(jnp.nan))
    picture = jax.jit(lambda v: render_all(scene, v, 16, 16))(broken)
    assert not picture.rgb.any() and (picture.segmentation == -1).all() and jnp.isfinite(picture.depth).all()


def test_a_camera_inside_a_geom_looks_through_it_and_geoms_behind_it_are_not_seen():
    m, data = load()
    scene = Scene.from_mujoco(m)
    inside = render_all(scene, scene.view(data, Camera((0.05, 0.0, 1), (1, 0, 1))), 9, 9)
    assert inside.segmentation[4, 4] == 2  # the rod behind the ball
    away = render_all(scene, scene.view(data, Camera((-1, 0, 1), (-2, 0, 1.3))), 9, 9)
    assert not np.isin(away.segmentation, [1, 2]).any()


@pytest.mark.parametrize("floor, seen", [("5 5 .1", -1), ("0 0 .1", 0)])
def test_planes_end_where_they_are_finite(floor: str, seen: int):
    m, data = load(floor=floor)
    scene = Scene.from_mujoco(m)
    picture = render_all(scene, scene.view(data, Camera((0, -20, 3), (0, -40, 0))), 9, 9)
    assert picture.segmentation[4, 4] == seen


def test_checkers_have_the_colours_of_their_fields(body: mujoco.MjModel):
    m, data = load()
    scene = Scene.from_mujoco(m)
    frame = np.asarray(
        render(scene, scene.view(data, Camera((0.5, -4, 4), (0.5, -3.5, 0))), 64, 64, shadows=False)
    )
    reds, blues = frame[..., 0] > 3 * frame[..., 2] + 10, frame[..., 2] > 3 * frame[..., 0] + 10
    assert 0.3 < reds.mean() < 0.7 and 0.3 < blues.mean() < 0.7


def test_gradients_are_finite(scene: Scene, body: mujoco.MjModel):
    view = scene.view(random_pose(body, np.random.default_rng(0)), SIDE)

    def brightness(pos: jax.Array) -> jax.Array:
        return jnp.sum(render_all(scene, view._replace(geom_pos=pos), 16, 16).depth)

    slope = jax.grad(brightness)(view.geom_pos)
    assert jnp.isfinite(slope).all() and jnp.abs(slope).max() > 0


def test_samples_smooth_outlines():
    m, data = load()
    scene = Scene.from_mujoco(m)
    view = scene.view(data, SIDE)
    sharp, fine = (np.unique(np.asarray(render(scene, view, 24, 24, samples=n)[..., 1])) for n in (1, 4))
    assert len(fine) > len(sharp)


def test_unknown_types_are_refused_by_name():
    m, _ = load(HILL.replace("RGBA", "1 1 1 1"))
    with pytest.raises(ValueError, match=r"'hill' of type hfield.*rgba alpha 0"):
        Scene.from_mujoco(m)
    m, _ = load(HILL.replace("RGBA", "1 1 1 0"))
    assert Scene.from_mujoco(m).meshes == ()


def test_hidden_groups_are_not_drawn():
    m, _ = load(BALLS.replace('rgba="1 1 1 0"', 'group="3"'))
    assert Scene.from_mujoco(m).boxes == ()
    assert Scene.from_mujoco(m, groups=(0, 3)).boxes == (3,)


def test_unknown_names_are_answered_with_the_known_ones():
    m, data = load()
    scene = Scene.from_mujoco(m)
    with pytest.raises(ValueError, match=r"no camera 'front'; it has 'side'"):
        scene.view(data, "front")
    with pytest.raises(ValueError, match=r"no body 'torso'; it has .*'near', 'far'"):
        scene.view(data, Camera.free(1, 0, 0, body="torso"))


def test_cameras_follow_bodies():
    m, data = load()
    scene = Scene.from_mujoco(m)
    for camera, height in [
        (Camera.free(3, 90, 0, (0, 0, 0.5), "far"), 1.5),
        (Camera.free(3, 90, 0, (0, 0, 0.5), "far", True), 0.5),
    ]:
        np.testing.assert_allclose(scene.view(data, camera).camera_pos, [2, -3, height], atol=1e-6)
    down = scene.view(data, Camera.free(3, 0, -90))
    np.testing.assert_allclose(down.camera_mat, [[0, 1, 0], [-1, 0, 0], [0, 0, 1]], atol=1e-6)
    assert jnp.isfinite(scene.view(data, Camera((0, 0, 5), (0, 0, 0))).camera_mat).all()


def test_what_is_drawn_differently_is_announced():
    m, _ = load(BALLS.replace('rgba="0 1 0 1"', 'rgba="0 1 0 .5"'))
    with pytest.warns(UserWarning, match="'ball' has alpha 0.50 but is drawn opaque"):
        Scene.from_mujoco(m)
    m, data = load(BALLS.replace('<camera name="side"', '<camera name="side" projection="orthographic"'))
    with pytest.raises(ValueError, match="'side' is orthographic"):
        Scene.from_mujoco(m).view(data, "side")
