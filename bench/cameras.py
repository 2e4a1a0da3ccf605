"""The same camera in two conventions: ours and MuJoCo's renderer's."""

import mujoco

from jaxrm.render import Camera

Eye = tuple[float, float, float, tuple[float, float, float]]  # distance, azimuth, elevation, look-at
CameraPair = tuple[Camera | str, mujoco.MjvCamera]


def pair(m: mujoco.MjModel, eye: Eye | str) -> CameraPair:
    """A free camera (metres, degrees), or the model's camera of that name; ours, then MuJoCo's.

    Raises:
      ValueError: the model has no camera of that name.
    """
    theirs = mujoco.MjvCamera()
    if isinstance(eye, str):
        theirs.type = mujoco.mjtCamera.mjCAMERA_FIXED
        theirs.fixedcamid = mujoco.mj_name2id(m, mujoco.mjtObj.mjOBJ_CAMERA, eye)
        if theirs.fixedcamid < 0:
            raise ValueError(f"the model has no camera {eye!r}")
        return eye, theirs
    theirs.distance, theirs.azimuth, theirs.elevation = eye[:3]
    theirs.lookat[:] = eye[3]
    return Camera.free(*eye, fovy=float(m.vis.global_.fovy)), theirs
