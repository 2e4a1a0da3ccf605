"""MuJoCo's own (classic) renderer, offscreen: what our frames are judged by and timed against."""

from typing import Any

import mujoco
import numpy as np

_SPARE_GEOMS = 100  # beside the model's own in a scene's list


class Peer:
    """Draws poses of one model. Only geoms are drawn: no sites, tendons or other decoration.

    To be closed after use: left to the garbage collector, it can free objects of another's context.

    The GL context is asked for by name, as `mujoco.Renderer` would depend on what the environment
    variable MUJOCO_GL was when mujoco was first imported.

    Args:
      m: the model; it is not changed, only copied.
      height, width: of the frames, pixels.
      multisampling: samples per pixel, 0 for none.
      slices: number of sides with which round geoms are drawn, MuJoCo's 28 by default.

    Raises:
      RuntimeError: neither EGL nor OSMesa gives a context.
    """

    def __init__(self, m: mujoco.MjModel, height: int, width: int, multisampling: int = 0, slices: int = 28):
        self.model, self.rect = (
            _prepared(m, height, width, multisampling, slices),
            mujoco.MjrRect(0, 0, width, height),
        )
        self.gl = _gl_context(width, height)
        self.gl.make_current()
        self.option = _only_geoms()
        self.scene = mujoco.MjvScene(self.model, maxgeom=m.ngeom + _SPARE_GEOMS)
        self.context = mujoco.MjrContext(self.model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self.context)
        self.context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR

    def rgb(
        self, data: mujoco.MjData, camera: mujoco.MjvCamera, shadows: bool, reflections: bool = False
    ) -> np.ndarray:
        """uint8 [h, w, 3]."""
        self._update(data, camera)
        self.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = shadows
        self.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = reflections
        return self._read()[0]

    def geometry(self, data: mujoco.MjData, camera: mujoco.MjvCamera) -> tuple[np.ndarray, np.ndarray]:
        """Depth in metres float32 [h, w] and geom ids int32 [h, w] (-1: none)."""
        self._update(data, camera)
        self.scene.flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = True
        self.scene.flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = True
        rgb, z = self._read()
        self.scene.flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = False
        self.scene.flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = False
        ids = np.full(self.scene.ngeom + 1, -1, np.int32)
        for geom in self.scene.geoms[: self.scene.ngeom]:
            ids[geom.segid + 1] = geom.objid if geom.objtype == mujoco.mjtObj.mjOBJ_GEOM else -1
        near, far = (v * self.model.stat.extent for v in (self.model.vis.map.znear, self.model.vis.map.zfar))
        depth = near * far / (near + z.astype(np.float64) * (far - near))  # z runs from 1 (near) to 0 (far)
        return depth.astype(np.float32), ids[rgb.astype(np.int32) @ [1, 256, 65536]]

    def close(self) -> None:
        """Frees the GL context; nothing can be drawn afterwards."""
        self.gl.make_current()  # or another context's objects of the same numbers would go
        self.context.free()
        self.gl.free()

    def _update(self, data: mujoco.MjData, camera: mujoco.MjvCamera) -> None:
        self.gl.make_current()
        everything = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(self.model, data, self.option, None, camera, everything, self.scene)

    def _read(self) -> tuple[np.ndarray, np.ndarray]:
        h, w = self.rect.height, self.rect.width
        rgb, z = np.empty((h, w, 3), np.uint8), np.empty((h, w), np.float32)
        mujoco.mjr_render(self.rect, self.scene, self.context)
        mujoco.mjr_readPixels(rgb, z, self.rect, self.context)
        return rgb[::-1], z[::-1]


def _prepared(m: mujoco.MjModel, height: int, width: int, multisampling: int, slices: int) -> mujoco.MjModel:
    m = mujoco.MjModel.__copy__(m)
    m.vis.global_.offwidth, m.vis.global_.offheight = max(width, 640), max(height, 480)
    m.vis.quality.offsamples = multisampling
    m.vis.quality.numslices, m.vis.quality.numstacks = slices, slices * 4 // 7
    return m


def _only_geoms() -> mujoco.MjvOption:
    option = mujoco.MjvOption()
    option.sitegroup[:] = option.tendongroup[:] = option.actuatorgroup[:] = option.flexgroup[:] = 0
    kept = mujoco.mjtVisFlag.mjVIS_TEXTURE, mujoco.mjtVisFlag.mjVIS_STATIC
    for flag in range(mujoco.mjtVisFlag.mjNVISFLAG):
        option.flags[flag] = flag in kept
    return option


def _gl_context(width: int, height: int) -> Any:
    failures = []
    for platform in ("egl", "osmesa"):
        try:
            module = __import__(f"mujoco.{platform}", fromlist=["GLContext"])
            return module.GLContext(width, height)
        except Exception as error:  # drivers and PyOpenGL fail in many ways
            failures.append(f"{platform}: {error}")
    raise RuntimeError("no OpenGL context: " + "; ".join(failures))
