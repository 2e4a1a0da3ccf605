"""Gradients are finite wherever one looks, and right where a closed form or differences tell."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from jaxrm.render import Camera, Scene, View, render, render_all, tiles
from jaxrm.render.grid import Grid

from .conftest import HEIGHT, WIDTH, Gallery, forward

BALL = """
<mujoco>
  <visual><headlight ambient=".1 .1 .1" diffuse=".2 .2 .2" specular=".1 .1 .1"/></visual>
  <worldbody>
    <light pos="-1 -2 3" dir=".4 .7 -1" cutoff="60" exponent="2" attenuation="1 .1 0" diffuse=".4 .3 .2"/>
    <geom type="plane" size="0 0 .1"/>
    <geom type="sphere" size=".3" pos="0 0 1" rgba=".9 .6 .7 1"/>
  </worldbody>
</mujoco>
"""
CENTRE, BOTTOM = (HEIGHT // 2, WIDTH // 2 + 2), (HEIGHT - 1, 3)  # pixels of the ball and of the floor


@pytest.fixture(scope="module")
def slopes(gallery: Gallery) -> Callable[[Scene, View], tuple[Scene, View]]:
    """Gradients of the mean colour plus the mean depth, with shadows."""
    rules = tiles.Rules(Grid.of(HEIGHT, WIDTH, 1), True, ("red", "green", "blue", "depth"))

    def mean(scene: Scene, view: View) -> jax.Array:
        return sum((jnp.mean(leaf) for leaf in tiles.draw(scene, view, rules).values()), jnp.zeros(()))

    return jax.jit(jax.grad(mean, argnums=(0, 1), allow_int=True))


def places(gallery: Gallery) -> dict[str, View]:
    at = {name: np.asarray(gallery.view.geom_pos[i]) for i, name in enumerate(("floor", "ball", "rod"))}
    ahead = np.array([0.0, 1.0, 0.0])
    views = {
        "front": gallery.view,
        "above": gallery.look(np.array([0, 0, 4.0]), np.zeros(3)),
        "nothing but sky": gallery.look(np.array([0, -3, 1.0]), np.array([0, -4, 3.0])),
        "along the floor": gallery.look(np.array([0, -3, 0.0]), np.zeros(3)),
        "grazing the ball": gallery.look(
            at["ball"] - ahead + np.array([0.3, 0, 0]), at["ball"] + [0.3, 0, 0]
        ),
        "in the ball": gallery.look(at["ball"], at["ball"] + ahead),
        "down the axis": gallery.look(np.array([0, 0, 4.0]), np.array([0, 0, 0.0])),
    }
    # all geoms under each other, unturned, seen along their own axes: zeros wherever zeros can be
    stacked = jnp.zeros((7, 3)).at[:, 2].set(jnp.arange(7.0))
    plain = {"geom_pos": stacked, "geom_mat": jnp.tile(jnp.eye(3), (7, 1, 1))}
    views["down the axis"] = views["down the axis"]._replace(**plain, camera_pos=jnp.array([0, 0, 9.0]))
    return views


def test_gradients_are_finite_everywhere(gallery: Gallery, slopes: Callable):
    for name, view in places(gallery).items():
        scene, moved = slopes(gallery.scene, view)
        looks = [scene.rgba, scene.size, scene.specular, scene.shininess, scene.lights.diffuse]
        for leaf in [*moved, *looks]:
            assert jnp.isfinite(leaf).all(), name
    _, moved = slopes(gallery.scene, gallery.view)
    for leaf in (moved.geom_pos[1:], moved.geom_mat[2:], moved.camera_pos, moved.light_pos):
        assert jnp.abs(leaf).max() > 0


@pytest.mark.parametrize("geom, size", [(1, (1e-9, 0, 0)), (3, (0.15, 0.25, 1e-9)), (5, (0.2, 0.3, 1e-9))])
def test_gradients_of_degenerate_geoms_are_finite(
    gallery: Gallery, slopes: Callable, geom: int, size: tuple[float, ...]
):
    scene = dataclasses.replace(gallery.scene, size=gallery.scene.size.at[geom].set(jnp.array(size)))
    for leaf in slopes(scene, gallery.view)[1]:
        assert jnp.isfinite(leaf).all()


def test_gradients_are_those_of_differences():
    model = mujoco.MjModel.from_xml_string(BALL)
    scene = Scene.from_mujoco(model)
    view = scene.view(forward(model), Camera((0, -2, 1.2), (0, 0, 0.9)))

    @jax.jit
    def measure(step: jax.Array) -> tuple[jax.Array, jax.Array]:
        """A pixel on the ball, and the depth of one on the floor; ball, lamp and eye moved."""
        moved = view._replace(
            geom_pos=view.geom_pos.at[1].add(step[:3]),
            light_pos=view.light_pos.at[0].add(step[3:6]),
            camera_pos=view.camera_pos.at[2].add(step[6]),
        )
        colour = render(scene, moved, HEIGHT, WIDTH, shadows=False, dtype=jnp.float32)
        depth = render_all(scene, moved, HEIGHT, WIDTH, shadows=False).depth
        return colour[CENTRE].sum(), depth[BOTTOM]

    colours, depths = jax.jit(jax.jacrev(measure))(jnp.zeros(7))
    h = 0.01  # metres
    for k in range(7):
        up, down = (measure(jnp.zeros(7).at[k].set(side * h)) for side in (1, -1))
        for slope, a, b in zip((colours[k], depths[k]), up, down, strict=True):
            np.testing.assert_allclose(slope, (a - b) / (2 * h), rtol=0.02, atol=5e-4)
    assert jnp.abs(colours).min() > 1e-3  # all seven count
    # the floor is as far away as the eye is high, times a constant
    np.testing.assert_allclose(depths[6], measure(jnp.zeros(7))[1] / 1.2, rtol=1e-5)
    np.testing.assert_array_equal(depths[:6], 0)
