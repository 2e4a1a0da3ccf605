"""A MuJoCo model of the user's own, read from its file: what can be acted on, what is followed, who looks."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import mujoco
import numpy as np

from jaxrm.render import Camera

CAMERA_FORM = "'distance,azimuth,elevation[,height]'"
# plain numbers: MuJoCo's enums are not `in` arrays of numpy's integers
_FREE, _SLIDE = int(mujoco.mjtJoint.mjJNT_FREE), int(mujoco.mjtJoint.mjJNT_SLIDE)
_SITE = int(mujoco.mjtTrn.mjTRN_SITE)
_JOINTS = (int(mujoco.mjtTrn.mjTRN_JOINT), int(mujoco.mjtTrn.mjTRN_JOINTINPARENT))


class Body(NamedTuple):
    """What a model is centred on.

    Attributes:
      name: of the body at the root of the tree that the actuators move.
      travels: whether it can leave its place: by a free joint, or by slides without end (planar walkers).
      middle: the middle of the model (`statistic`) at the start, metres from the root.
    """

    name: str
    travels: bool
    middle: tuple[float, float, float]


@contextlib.contextmanager
def told_of(file: Path) -> Iterator[None]:
    """Errors of a model name its file; what MJX does not know becomes a ValueError."""
    try:
        yield
    except NotImplementedError as error:
        raise ValueError(f"{str(file)!r}: MJX cannot simulate this model: {error}") from error
    except ValueError as error:
        raise ValueError(f"{str(file)!r}: {' '.join(str(error).split())}") from error


def load(file: Path) -> mujoco.MjModel:
    """Compiles a model, meshes and textures found as its file says.

    Bodies without a name get one, and a model that states no `statistic` one of what can move (MuJoCo's own
    counts the floor).

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it is no XML, MuJoCo refuses it, nothing in it moves or can be moved, or a feature is one
        that MJX would leave out silently; the message names the file.
    """
    if not file.is_file():
        raise FileNotFoundError(f"no model {str(file)!r}: {'a folder' if file.is_dir() else 'no such file'}")
    with told_of(file):
        try:
            spec = mujoco.MjSpec.from_file(str(file))
        except ValueError as error:
            if "XML parse error" not in str(error):
                raise
            raise ValueError(f"not XML: {error}") from error
        taken = {body.name for body in spec.bodies}
        for index, body in enumerate(spec.bodies):
            if not body.name:
                body.name = f"body{index}" if f"body{index}" not in taken else f"unnamed body {index}"
        model = spec.compile()
        _check_moves(model)
        center, extent = _middle_of_what_moves(model)
        if np.isnan(spec.stat.center).any():
            model.stat.center = center
        if np.isnan(spec.stat.extent):
            model.stat.extent = extent
    return model


def _check_moves(m: mujoco.MjModel) -> None:
    if m.nv == 0:
        raise ValueError("the model has no joints: nothing in it can move")
    if m.nu == 0:
        raise ValueError(
            "the model has no actuators: a policy has nothing to act on; add <actuator> to the MJCF"
            " (a URDF cannot have them: save it as MJCF first)"
        )
    delayed = [actuator_name(m, int(i)) for i in np.flatnonzero(m.actuator_delay)]
    if delayed:
        raise NotImplementedError(f"delay of actuator {', '.join(delayed)}")


def _middle_of_what_moves(m: mujoco.MjModel) -> tuple[np.ndarray, float]:
    """Of the box around the bounding spheres of all trees with joints, at the start; and its longest side."""
    data = start_of(m)
    moving = np.isin(m.body_rootid, m.body_rootid[m.dof_bodyid])[m.geom_bodyid] & (m.geom_rbound > 0)
    if not moving.any():
        return m.stat.center, m.stat.extent
    at, radius = data.geom_xpos[moving], m.geom_rbound[moving, None]
    low, high = (at - radius).min(axis=0), (at + radius).max(axis=0)
    return (low + high) / 2, float((high - low).max())


def actuator_name(m: mujoco.MjModel, index: int) -> str:
    return mujoco.mj_id2name(m, mujoco.mjtObj.mjOBJ_ACTUATOR, index) or f"number {index}"


def start_of(m: mujoco.MjModel) -> mujoco.MjData:
    """The keyframe "home", else the first one, else the model's `qpos0`; after kinematics."""
    data = mujoco.MjData(m)
    if m.nkey:
        home = mujoco.mj_name2id(m, mujoco.mjtObj.mjOBJ_KEY, "home")
        mujoco.mj_resetDataKeyframe(m, data, max(home, 0))
    mujoco.mj_kinematics(m, data)
    return data


def root_of(m: mujoco.MjModel) -> Body:
    """The root of the tree that most actuators move: props (a cube on a table) may have joints too."""
    moved = [body for i in range(m.nu) if (body := _moved_by(m, i)) is not None]
    trees = m.body_rootid[moved or m.dof_bodyid]  # tendons: the tree with most degrees of freedom
    root = int(np.bincount(trees).argmax())
    x, y, z = (m.stat.center - start_of(m).xpos[root]).tolist()
    own = [i for i in range(m.njnt) if m.jnt_bodyid[i] == root]
    travels = any(m.jnt_type[i] == _FREE or (m.jnt_type[i] == _SLIDE and not m.jnt_limited[i]) for i in own)
    return Body(m.body(root).name, travels, (x, y, z))


def _moved_by(m: mujoco.MjModel, actuator: int) -> int | None:
    """The body of an actuator's joint or site; None for tendons and what else there is."""
    kind, (target, _) = int(m.actuator_trntype[actuator]), m.actuator_trnid[actuator]
    if kind in _JOINTS:
        return int(m.jnt_bodyid[target])
    return int(m.site_bodyid[target]) if kind == _SITE else None


def pick_camera(m: mujoco.MjModel, camera: str | Camera | None, root: Body) -> str | Camera:
    """Who looks: a camera of the model by its name, a free one, or by default one that the model fits into.

    Numbers are those of `Camera.free` (metres, degrees); the camera goes with the root, and looks at a height
    in the world, by default that of the model's middle at the start.

    Raises:
      ValueError: the words are neither.
    """
    if isinstance(camera, Camera):
        return camera
    fovy = float(m.vis.global_.fovy)
    if camera is None:  # MuJoCo's own choice (mjv_defaultFreeCamera)
        distance, look = 1.5 * m.stat.extent, m.vis.global_
        lookat = (*root.middle[:2], float(m.stat.center[2])) if root.travels else m.stat.center.tolist()
        follow = {"body": root.name, "level": True} if root.travels else {}
        return Camera.free(distance, look.azimuth, look.elevation, lookat, fovy=fovy, **follow)
    names = [m.camera(i).name for i in range(m.ncam)]
    if camera in names:
        return camera
    numbers = _numbers(camera)
    if len(numbers) not in (3, 4) or numbers[0] <= 0:
        known = ", ".join(repr(name) for name in names if name) or "none"
        raise ValueError(
            f"no camera {camera!r}: the model has {known}; or give {CAMERA_FORM}, in m and degrees"
        )
    distance, azimuth, elevation, *height = numbers
    lookat = (0.0, 0.0, *(height or [float(m.stat.center[2])]))
    return Camera.free(distance, azimuth, elevation, lookat, body=root.name, level=True, fovy=fovy)


def _numbers(text: str) -> list[float]:
    """Finite numbers between commas; none where anything else stands there."""
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        return []
    return numbers if np.isfinite(numbers).all() else []
