"""Depth and segmentation against closed forms in float64, written independently of the ray caster."""

import functools
from collections.abc import Callable

import numpy as np
import pytest

from jaxrm.render import View

from .conftest import Gallery

Rays = np.ndarray  # [rays, 3], unit vectors
KINDS = ("floor", "ball", "rod", "egg", "can", "brick", "wedge")


def sphere(radius: float, o: np.ndarray, d: Rays) -> np.ndarray:
    """Distance to where rays from `o` enter; infinite if they do not, as in all the functions below."""
    b, c = d @ o, o @ o - radius**2
    with np.errstate(invalid="ignore"):
        t = -b - np.sqrt(b * b - c)
    return np.where(t > 0, t, np.inf)


def ellipsoid(radii: np.ndarray, o: np.ndarray, d: Rays) -> np.ndarray:
    stretched = d / radii
    length = np.linalg.norm(stretched, axis=-1)
    return sphere(1.0, o / radii, stretched / length[:, None]) / length


def tube(radius: float, half: float, o: np.ndarray, d: Rays) -> np.ndarray:
    """The side of a cylinder alone."""
    a, b, c = (d[:, :2] ** 2).sum(-1), d[:, :2] @ o[:2], o[:2] @ o[:2] - radius**2
    with np.errstate(invalid="ignore", divide="ignore"):
        t = (-b - np.sqrt(b * b - a * c)) / a
        return np.where((t > 0) & (np.abs(o[2] + t * d[:, 2]) <= half), t, np.inf)


def cylinder(size: np.ndarray, o: np.ndarray, d: Rays) -> np.ndarray:
    t = tube(size[0], size[1], o, d)
    for z in (-size[1], size[1]):
        with np.errstate(invalid="ignore", divide="ignore"):
            cap = (z - o[2]) / d[:, 2]
        on = (cap > 0) & (np.linalg.norm(o[:2] + cap[:, None] * d[:, :2], axis=-1) <= size[0])
        t = np.minimum(t, np.where(on, cap, np.inf))
    return t


def capsule(size: np.ndarray, o: np.ndarray, d: Rays) -> np.ndarray:
    ends = [sphere(size[0], o - np.array([0, 0, z]), d) for z in (-size[1], size[1])]
    return np.minimum(tube(size[0], size[1], o, d), np.minimum(*ends))


def box(size: np.ndarray, o: np.ndarray, d: Rays) -> np.ndarray:
    t = np.full(len(d), np.inf)
    for axis in range(3):
        others = [k for k in range(3) if k != axis]
        for side in (-size[axis], size[axis]):
            at = (side - o[axis]) / d[:, axis]
            point = (o + at[:, None] * d)[:, others]
            t = np.minimum(t, np.where((at > 0) & np.all(np.abs(point) <= size[others], axis=-1), at, np.inf))
    return t


def plane(_: np.ndarray, o: np.ndarray, d: Rays) -> np.ndarray:
    with np.errstate(divide="ignore"):
        t = -o[2] / d[:, 2]
    return np.where((t > 0) & (d[:, 2] < 0), t, np.inf)


def triangles(corners: np.ndarray, _: np.ndarray, o: np.ndarray, d: Rays) -> np.ndarray:
    """corners [faces, 3, 3]: a point of a face's plane is inside where it is left of all three edges."""
    t = np.full(len(d), np.inf)
    for face in corners:
        normal = np.cross(face[1] - face[0], face[2] - face[0])
        at = normal @ (face[0] - o) / (d @ normal)
        point = o + at[:, None] * d
        left = [np.cross(face[(k + 1) % 3] - face[k], point - face[k]) @ normal >= 0 for k in range(3)]
        t = np.minimum(t, np.where((at > 0) & (d @ normal < 0) & np.all(left, axis=0), at, np.inf))
    return t


def cast(
    gallery: Gallery, size: np.ndarray, view: View, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Depth and geom ids of a frame."""
    m = gallery.model
    wedge = functools.partial(triangles, m.mesh_vert[m.mesh_face].astype(float))
    enter: list[Callable] = [
        plane,
        lambda s, *ray: sphere(s[0], *ray),
        capsule,
        ellipsoid,
        cylinder,
        box,
        wedge,
    ]
    pos, mat, eye, frame = (np.asarray(leaf, np.float64) for leaf in view[:4])
    step = 2 * np.tan(np.deg2rad(float(view.fovy)) / 2) / height
    y, x = np.meshgrid(
        height / 2 - np.arange(height) - 0.5, np.arange(width) + 0.5 - width / 2, indexing="ij"
    )
    local = np.stack([x * step, y * step, -np.ones_like(x)], -1).reshape(-1, 3)
    cosine = 1 / np.linalg.norm(local, axis=-1)
    ray = (local * cosine[:, None]) @ frame.T
    depths = (
        np.stack([f(s, (eye - p) @ r, ray @ r) for f, s, p, r in zip(enter, size, pos, mat, strict=True)])
        * cosine
    )
    near, far = gallery.scene.clip
    depths = np.where((depths > near) & (depths < far), depths, np.inf)
    nearest = depths.min(0)
    ids = np.where(np.isfinite(nearest), depths.argmin(0), -1)
    return np.where(ids >= 0, nearest, far).reshape(height, width), ids.reshape(height, width)


def turned(gallery: Gallery, rng: np.random.Generator) -> View:
    """All geoms but the floor turned at random."""
    mats = np.linalg.qr(rng.normal(size=(7, 3, 3)))[0]
    mats *= np.sign(np.linalg.det(mats))[:, None, None]
    mats[0] = np.eye(3)
    return gallery.view._replace(geom_mat=mats.astype(np.float32))


def compare(gallery: Gallery, view: View) -> tuple[np.ndarray, np.ndarray]:
    picture = gallery.draw(gallery.scene, view)
    depth, ids = cast(gallery, np.asarray(gallery.scene.size, np.float64), view, *picture.depth.shape)
    assert np.mean(ids == picture.segmentation) > 0.995  # outlines may fall to either side
    error = np.where(ids == picture.segmentation, np.abs(depth - picture.depth) / depth, 0.0)
    assert np.quantile(error, 0.99) < 1e-5
    return ids, error


@pytest.mark.parametrize("geom", range(7), ids=KINDS)
def test_depth_is_that_of_the_closed_form(gallery: Gallery, geom: int):
    rng = np.random.default_rng(geom)
    for _ in range(4):
        view = turned(gallery, rng)
        target = np.asarray(view.geom_pos[geom])
        eye = target + np.array([*rng.uniform(-1, 1, 2), rng.uniform(0.3, 1.5)]) * 1.2
        looking = gallery.look(eye, target)
        ids, error = compare(
            gallery, view._replace(camera_pos=looking.camera_pos, camera_mat=looking.camera_mat)
        )
        centre = ids.shape[0] // 2, ids.shape[1] // 2
        assert error[centre] < 1e-5
        assert geom in ids


def test_a_field_of_view_of_170_degrees(gallery: Gallery):
    near = gallery.look(np.array([0, -1.2, 0.9]), np.array([0, 0, 0.9]))
    ids, _ = compare(gallery, near._replace(fovy=np.float32(170.0)))
    assert len(np.unique(ids)) >= 4
