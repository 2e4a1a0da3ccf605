"""What is said where a backend or a size cannot be had; nothing is compiled for it."""

import jax.numpy as jnp
import mujoco.mjx.warp as mjx_warp
import pytest

from jaxrm.render import render, render_all

from .conftest import Gallery


def test_unknown_backends_are_answered_with_the_known_ones(gallery: Gallery):
    for draw in (render, render_all):
        with pytest.raises(ValueError, match=r"one of \('raycast', 'warp'\), not 'opengl'"):
            draw(gallery.scene, gallery.view, 8, 8, backend="opengl")  # pyright: ignore


def test_warp_says_what_to_install(gallery: Gallery, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mjx_warp, "WARP_INSTALLED", False)
    for draw in (render, render_all):
        with pytest.raises(RuntimeError, match=r'pip install "jaxrm\[warp\]"'):
            draw(gallery.scene, gallery.view, 8, 8, backend="warp")


def test_warp_has_no_gradients_and_frames_have_two_types(gallery: Gallery):
    with pytest.raises(ValueError, match="uint8 frames only"):
        render(gallery.scene, gallery.view, 8, 8, backend="warp", dtype=jnp.float32)
    with pytest.raises(ValueError, match="uint8 or float32, not int32"):
        render(gallery.scene, gallery.view, 8, 8, dtype=jnp.int32)


@pytest.mark.parametrize("size", [{"height": 0}, {"width": -1}, {"samples": 0}])
def test_sizes_below_one_are_refused(gallery: Gallery, size: dict[str, int]):
    for draw in (render, render_all):
        with pytest.raises(ValueError, match="must be at least 1"):
            draw(gallery.scene, gallery.view, **size)
