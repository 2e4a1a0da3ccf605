"""Models to draw: two humanoids, every primitive, textures and lights of all kinds, many geoms.

Each function returns a compiled model; `random_pose` moves any of them. `STAGES` names them, with the
cameras from which parity with MuJoCo's renderer is judged.
"""

import pathlib
from collections.abc import Callable
from typing import NamedTuple

import brax
import mujoco
import numpy as np
from mujoco import mjx

from bench.assets import bumpy_torus_obj, die_obj, picture_png
from bench.cameras import Eye


def humanoid() -> mujoco.MjModel:
    """Brax's standard humanoid of 17 actuators, as it comes."""
    return mujoco.MjModel.from_xml_path(str(_package(brax) / "envs/assets/humanoid.xml"))


def humanoid21() -> mujoco.MjModel:
    """The humanoid of 21 actuators that comes with MJX, with its own lights and materials."""
    return mujoco.MjModel.from_xml_path(str(_package(mjx) / "test_data/humanoid/humanoid.xml"))


def primitives() -> mujoco.MjModel:
    """Every kind of geom and of light, on bodies that float; materials of all kinds, a checkered floor."""
    return _own("primitives.xml", {"torus.obj": bumpy_torus_obj()})


def textures() -> mujoco.MjModel:
    """Builtin textures with their marks, PNG pictures and an imported mesh with its own coordinates."""
    pictures = {"picture.png": picture_png(64, 48), "cube.png": picture_png(32, 32)}
    return _own("textures.xml", {**pictures, "die.obj": die_obj()})


def many_geoms(count: int = 200, seed: int = 0) -> mujoco.MjModel:
    """A floor and `count` - 1 primitives of mixed kinds, ten to each of the bodies that float.

    They start within the same two metres however many there are.
    """
    rng, spec = np.random.default_rng(seed), mujoco.MjSpec()
    spec.stat.extent, spec.stat.center = 3.0, [0, 0, 1]
    spec.worldbody.add_light(type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, pos=[0, 0, 4], dir=[0.2, 0.3, -1])
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 0.1], rgba=[0.3, 0.4, 0.5, 1])
    kinds = [getattr(mujoco.mjtGeom, f"mjGEOM_{kind}") for kind in _MIXED]
    body = spec.worldbody
    for i in range(count - 1):
        if i % 10 == 0:
            body = spec.worldbody.add_body(pos=[*rng.uniform(-1, 1, 2), rng.uniform(0.6, 1.6)])
            body.add_freejoint()
        body.add_geom(
            type=kinds[i % len(kinds)],
            size=rng.uniform(0.03, 0.1, 3),
            pos=rng.uniform(-0.35, 0.35, 3),
            quat=_rotation(rng),
            rgba=[*rng.uniform(0.1, 0.9, 3), 1],
            contype=0,
            conaffinity=0,
        )
    return spec.compile()


def random_pose(m: mujoco.MjModel, rng: np.random.Generator) -> mujoco.MjData:
    """Any model after kinematics: free and mocap bodies shifted and turned, joints bent.

    Bodies move up to half a metre from where the model puts them; hinges get up to 1.2 radians,
    sliders up to 0.3 metres, without regard to limits. Mocap bodies, which may carry planes, turn by up
    to 45 degrees: a plane is seen from its front, for MuJoCo draws its back half transparent.
    """
    data = mujoco.MjData(m)
    for joint in range(m.njnt):
        start = m.jnt_qposadr[joint]
        match m.jnt_type[joint]:
            case mujoco.mjtJoint.mjJNT_FREE:
                data.qpos[start : start + 3] = m.qpos0[start : start + 3] + rng.uniform(*_SHIFT)
                data.qpos[start + 3 : start + 7] = _rotation(rng)
            case mujoco.mjtJoint.mjJNT_BALL:
                data.qpos[start : start + 4] = _rotation(rng)
            case mujoco.mjtJoint.mjJNT_HINGE:
                data.qpos[start] = rng.uniform(-1.2, 1.2)
            case _:
                data.qpos[start] = rng.uniform(-0.3, 0.3)
    for i in range(m.nmocap):
        data.mocap_pos[i] += rng.uniform(*_SHIFT)
        mujoco.mju_mulQuat(data.mocap_quat[i], data.mocap_quat[i].copy(), _rotation(rng, _TILT))
    mujoco.mj_kinematics(m, data)
    mujoco.mj_comPos(m, data)
    mujoco.mj_camlight(m, data)
    return data


class Stage(NamedTuple):
    """A model and where to look at it from."""

    model: Callable[[], mujoco.MjModel]
    cameras: tuple[Eye | str, ...]


_MIXED = ("SPHERE", "CAPSULE", "BOX", "ELLIPSOID", "CYLINDER")
_SHIFT = (-0.5, -0.5, -0.4), (0.5, 0.5, 0.3)  # metres; a torso of 1.3 metres stays above the floor
_TILT = np.pi / 4
_ROUND = (3.5, 120, -15, (0, 0, 1)), (4.0, 0, -5, (0, 0, 1)), (2.5, 30, -60, (0, 0, 1))

STAGES = {
    "humanoid": Stage(humanoid, _ROUND),
    "humanoid21": Stage(humanoid21, (*_ROUND[:2], "side")),
    "primitives": Stage(primitives, (_ROUND[0], _ROUND[2], "wide")),
    "textures": Stage(textures, (_ROUND[0], _ROUND[2], "wide")),
    "many_geoms": Stage(many_geoms, _ROUND),
}


def _package(module: object) -> pathlib.Path:
    return pathlib.Path(str(module.__file__)).parent


def _own(file: str, assets: dict[str, bytes]) -> mujoco.MjModel:
    xml = (pathlib.Path(__file__).parent / "models" / file).read_text()
    return mujoco.MjModel.from_xml_string(xml, assets)


def _rotation(rng: np.random.Generator, largest: float | None = None) -> np.ndarray:
    """A quaternion: uniform over all rotations, or by up to `largest` radians about any axis."""
    quat = rng.normal(size=4)
    if largest is not None:
        half = 0.5 * rng.uniform(0, largest)
        quat = np.array([np.cos(half), *np.sin(half) * quat[1:] / np.linalg.norm(quat[1:])])
    return quat / np.linalg.norm(quat)
