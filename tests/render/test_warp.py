"""MJX-Warp's frames beside the ray caster's, and what is said where they cannot be had."""

import jax
import jax.numpy as jnp
import mujoco
import mujoco.mjx.warp as mjx_warp
import numpy as np
import pytest
from mujoco import mjx

from bench.scenes import STAGES, random_pose
from jaxrm.render import Camera, Scene, View, render_all, warp
from jaxrm.render.source import Source

SIZE = 64
needs_warp = pytest.mark.skipif(warp.why_not() is not None, reason=str(warp.why_not()))


@pytest.fixture(scope="module")
def source(body: mujoco.MjModel) -> Source:
    return Source(body)


def views_of(body: mujoco.MjModel, scene: Scene, cameras: list[Camera | str]) -> View:
    rng = np.random.default_rng(5)
    views = [scene.view(random_pose(body, rng), camera) for camera in cameras]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *views)


CAMERAS = [Camera.free(3, 90, -20, (0, 0, 1)), "track", Camera.free(2.5, 200, -50, (0, 0, 1), fovy=60)]


@needs_warp
@pytest.mark.parametrize("stage, off", [("humanoid", 0.03), ("primitives", 0.08)])
def test_frames_agree_with_the_ray_caster(stage: str, off: float):
    # Warp lets point lights (cutoff 180) fade from an axis, which MuJoCo does not: hence primitives' bound
    model = STAGES[stage].model()
    scene, source = Scene.from_mujoco(model), Source(model)
    views = views_of(model, scene, [CAMERAS[0], CAMERAS[2]])
    ours = jax.vmap(lambda v: render_all(scene, v, SIZE, SIZE, shadows=False))(views)
    theirs = jax.jit(jax.vmap(lambda v: warp.draw_all(source, v, SIZE, SIZE, shadows=False)))(views)
    assert theirs.rgb.shape == (2, SIZE, SIZE, 3) and theirs.rgb.dtype == jnp.uint8
    same = np.asarray(ours.segmentation == theirs.segmentation)
    assert same.mean() > 0.99
    depth = np.abs(ours.depth - theirs.depth) / ours.depth
    assert np.quantile(depth[same], 0.99) < 1e-3
    on_body = same & np.asarray(ours.segmentation > 0)  # the floor's checkers are filtered by one of the two
    assert np.abs(ours.rgb.astype(float) - theirs.rgb)[on_body].mean() / 255 < off


@needs_warp
def test_one_by_one_in_a_batch_and_in_nested_batches(body: mujoco.MjModel, scene: Scene, source: Source):
    views = views_of(body, scene, [CAMERAS[0]] * 4)

    def one(view: View) -> jax.Array:
        return warp.draw(source, view, 16, 24)

    batch = jax.vmap(one)(views)
    assert batch.shape == (4, 16, 24, 3) and batch.any()
    squares = jax.tree.map(lambda leaf: leaf.reshape(2, 2, *leaf.shape[1:]), views)
    np.testing.assert_array_equal(jax.jit(jax.vmap(jax.vmap(one)))(squares).reshape(batch.shape), batch)
    np.testing.assert_array_equal(jax.lax.map(one, views), batch)
    np.testing.assert_array_equal(one(jax.tree.map(lambda leaf: leaf[1], views)), batch[1])


@needs_warp
def test_follows_physics_in_jax_within_one_program(body: mujoco.MjModel, scene: Scene, source: Source):
    mx = mjx.put_model(body, impl="jax")

    @jax.jit
    def frame(qpos: jax.Array) -> jax.Array:
        data = mjx.kinematics(mx, mjx.make_data(mx).replace(qpos=qpos))
        return warp.draw(source, scene.view(data, CAMERAS[0]), SIZE, SIZE)

    qpos = np.array(random_pose(body, np.random.default_rng(0)).qpos, np.float32)
    moved = qpos + np.float32([0.3] + [0] * (len(qpos) - 1))
    frames = jax.vmap(frame)(jnp.stack([qpos, moved]))
    assert np.mean(np.abs(frames[0].astype(int) - frames[1]) > 8) > 0.01


@needs_warp
def test_looks_differ_between_worlds(body: mujoco.MjModel, scene: Scene, source: Source):
    view = jax.tree.map(lambda leaf: leaf[0], views_of(body, scene, CAMERAS[:1]))
    looks = warp.Looks.of(scene)
    plain = warp.draw(source, view, SIZE, SIZE)
    np.testing.assert_allclose(
        warp.draw(source, view, SIZE, SIZE, looks=looks).astype(int), plain.astype(int), atol=1
    )
    red = looks.rgba.at[1:, :3].set(jnp.array([0.9, 0.1, 0.1]))
    colours = jnp.stack([looks.rgba, red])
    frames = jax.vmap(lambda rgba: warp.draw(source, view, SIZE, SIZE, looks=looks._replace(rgba=rgba)))(
        colours
    )
    redness = frames[..., 0].astype(int) - frames[..., 1].astype(int)
    assert (redness[1] > 60).sum() > (redness[0] > 60).sum() + 50


@needs_warp
def test_shadows_samples_and_broken_poses(body: mujoco.MjModel, scene: Scene, source: Source):
    views = views_of(body, scene, [CAMERAS[2]] * 2)
    view = jax.tree.map(lambda leaf: leaf[0], views)
    dark, lit = (warp.draw(source, view, SIZE, SIZE, shadows=on).astype(int) for on in (True, False))
    assert np.mean(lit.sum(-1) > dark.sum(-1) + 10) > 0.01
    smooth = warp.draw_all(source, view, SIZE, SIZE, samples=2)
    assert smooth.rgb.shape == (SIZE, SIZE, 3) and np.abs(smooth.rgb.astype(int) - dark).mean() < 40
    broken = views._replace(geom_pos=views.geom_pos.at[0, 3].set(jnp.nan))
    picture = jax.vmap(lambda v: warp.draw_all(source, v, SIZE, SIZE))(broken)
    assert not picture.rgb[0].any() and (picture.segmentation[0] == -1).all()
    np.testing.assert_array_equal(
        picture.rgb[1], warp.draw(source, jax.tree.map(lambda a: a[1], views), SIZE, SIZE)
    )


@needs_warp
def test_a_model_without_lights():
    model = mujoco.MjModel.from_xml_string(
        '<mujoco><worldbody><camera/><geom size="1"/></worldbody></mujoco>'
    )
    scene = Scene.from_mujoco(model)
    views = views_of(model, scene, [CAMERAS[0]] * 3)
    frames = jax.vmap(lambda v: warp.draw(Source(model), v, 8, 8, looks=warp.Looks.of(scene)))(views)
    assert frames.shape == (3, 8, 8, 3) and frames[:, 6, 4].all()


@needs_warp
def test_a_model_without_camera_is_told_to_have_one(body: mujoco.MjModel, scene: Scene):
    view = jax.tree.map(lambda leaf: leaf[0], views_of(body, scene, CAMERAS[:1]))
    bare = mujoco.MjModel.from_xml_string('<mujoco><worldbody><geom size="1"/></worldbody></mujoco>')
    with pytest.raises(ValueError, match="no plain perspective camera: add <camera"):
        warp.draw(Source(bare), view, 8, 8)


def test_sources_are_compared_by_content(body: mujoco.MjModel):
    other = mujoco.MjModel.from_xml_string('<mujoco><worldbody><geom size="1"/></worldbody></mujoco>')
    assert Source(body) == Source(body) and hash(Source(body)) == hash(Source(body))
    assert Source(body) != Source(other) and Source(body) != Source(body, (0,))


def test_what_is_missing_is_said(
    monkeypatch: pytest.MonkeyPatch, body: mujoco.MjModel, scene: Scene, source: Source
):
    view = jax.tree.map(lambda leaf: leaf[0], views_of(body, scene, CAMERAS[:1]))
    monkeypatch.setattr(mjx_warp, "WARP_INSTALLED", False)
    with pytest.raises(RuntimeError, match=r'pip install "jaxrm\[warp\]"'):
        warp.draw(source, view, 8, 8)
    monkeypatch.setattr(mjx_warp, "WARP_INSTALLED", True)
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    with pytest.raises(RuntimeError, match=r"not on .*: use the ray caster"):
        warp.draw(source, view, 8, 8)
