"""What frames show: colours, shadows, checkers, where planes end, smooth outlines."""

import dataclasses

import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from jaxrm.render import Camera, Picture, Scene, render, render_all

from .conftest import BALLS, forward

SIDE = Camera((0, -3, 1), (0, 0, 1))
ABOVE = Camera((0, -3, 3), (0, 0, 0))
SIZE = 24, 32  # pixels
FAR_SUN = BALLS.replace('pos="0 0 3"', 'pos="0 0 60"')
FAR_SPOT = FAR_SUN.replace('directional="true"', 'cutoff="80" exponent="0"')
MODELS = {"sun": FAR_SUN, "spot": FAR_SPOT.replace('size="5 5 .1"', 'size="0 0 .1"')}


@pytest.fixture(scope="module")
def scenes() -> dict[str, Scene]:
    return {name: Scene.from_mujoco(mujoco.MjModel.from_xml_string(xml)) for name, xml in MODELS.items()}


@pytest.fixture(scope="module")
def data() -> mujoco.MjData:
    return forward(mujoco.MjModel.from_xml_string(FAR_SUN))


def draw(scene: Scene, data: mujoco.MjData, camera: Camera | str, shadows: bool = True) -> Picture:
    picture = render_all(scene, scene.view(data, camera), *SIZE, shadows=shadows)
    return Picture(*(np.asarray(leaf) for leaf in picture))  # pyright: ignore


def brightness(picture: Picture) -> np.ndarray:
    return np.asarray(picture.rgb).astype(int).sum(-1)


def test_a_camera_of_the_model_and_one_of_the_user_agree(scenes: dict[str, Scene], data: mujoco.MjData):
    scene = scenes["sun"]
    named, own = draw(scene, data, "side"), draw(scene, data, SIDE)
    assert named.rgb.shape == (*SIZE, 3) and named.rgb.dtype == jnp.uint8
    assert named.segmentation[12, 16] == 1 and abs(float(named.depth[12, 16]) - 2.7) < 0.01
    assert named.segmentation[0, 0] == -1 and float(named.depth[0, 0]) == pytest.approx(scene.clip[1])
    np.testing.assert_array_equal(named.segmentation, own.segmentation)
    np.testing.assert_allclose(named.rgb.astype(float), own.rgb.astype(float), atol=2)
    np.testing.assert_array_equal(render(scene, scene.view(data, "side"), *SIZE), named.rgb)


def test_red_stays_red_in_the_bytes(scenes: dict[str, Scene], data: mujoco.MjData):
    orange = jnp.tile(jnp.array([1.0, 0.5, 0.0, 1.0]), (len(scenes["sun"].kinds), 1))
    scene = dataclasses.replace(scenes["sun"], rgba=orange)
    red, green, blue = draw(scene, data, SIDE, shadows=False).rgb[12, 16].astype(int)
    assert red > green > blue and abs(red - 2 * green + blue) <= 2


def test_shadows_fall_below_the_ball_and_not_beside_it(scenes: dict[str, Scene], data: mujoco.MjData):
    lit, dark = (brightness(draw(scenes["sun"], data, ABOVE, shadows)) for shadows in (False, True))
    assert np.mean(lit > dark + 10) > 0.01
    assert np.all(lit[:, :8] <= dark[:, :8])  # brighter at most: each light is clamped by itself


def test_a_spot_light_far_away_casts_the_shadow_of_a_directional_one(
    scenes: dict[str, Scene], data: mujoco.MjData
):
    sun, spot = (draw(scene, data, ABOVE).rgb.astype(int) for scene in scenes.values())
    assert np.mean(np.abs(sun - spot).max(-1) > 8) < 0.01


def test_planes_end_where_they_are_finite(scenes: dict[str, Scene], data: mujoco.MjData):
    finite, infinite = (
        draw(scene, data, Camera((0, -20, 3), (0, -40, 0))).segmentation[12, 16] for scene in scenes.values()
    )
    assert (finite, infinite) == (-1, 0)


def test_checkers_have_the_colours_of_their_fields(scenes: dict[str, Scene], data: mujoco.MjData):
    frame = draw(scenes["sun"], data, Camera((0.5, -4, 4), (0.5, -3.5, 0)), shadows=False).rgb.astype(int)
    reds, blues = frame[..., 0] > 3 * frame[..., 2] + 10, frame[..., 2] > 3 * frame[..., 0] + 10
    assert 0.3 < reds.mean() < 0.7 and 0.3 < blues.mean() < 0.7


def test_samples_smooth_outlines(scenes: dict[str, Scene], data: mujoco.MjData):
    sharp = draw(scenes["sun"], data, SIDE).rgb
    fine = np.asarray(render(scenes["sun"], scenes["sun"].view(data, SIDE), *SIZE, samples=3))
    assert len(np.unique(fine[..., 1])) > len(np.unique(sharp[..., 1]))
