"""What a model looks like, apart from where everything is."""

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, Float

from jaxrm.render.camera import Camera
from jaxrm.render.lights import LightRig, Lights
from jaxrm.render.materials import read_surfaces
from jaxrm.render.sky import read_sky
from jaxrm.render.view import View

_GEOM = mujoco.mjtGeom
_OPAQUE = 0.995  # MuJoCo's own limit
_STATIC = {"static": True}
_VISIBLE_GROUPS = (0, 1, 2)  # what MuJoCo's own viewer shows unless told otherwise


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Scene:
    """Shapes, colours and lights of a model: a pytree whose arrays may be batched with `vmap`.

    Per-geom arrays are in the model's order and cover geoms that are not drawn as well. Change
    looks with `dataclasses.replace(scene, rgba=...)`.

    Attributes:
      size: MuJoCo's sizes, metres (sphere: radius; capsule: radius, half length; plane: half
        lengths, 0 for infinite).
      rgba: colours from 0 to 1, after the rules of materials; the texture's tint multiplies them.
      specular, shininess, emission: as in MuJoCo's materials.
      tint_even, tint_odd: the two colours of a checker; equal where there is none.
      checker_scale: repeats of the checker per two metres along the plane's x and y; 0 without.
      sky: the background's colour as a polynomial in the sine of the elevation: coefficients, constant
        first.
      camera_fovy: of the model's cameras, degrees.
      lights: the model's lights and the headlight.
      clip: distances of the near and the far plane, metres; geoms beyond are not drawn.
      shadow_reach: half width of the square around a directional light that can be in shadow, metres.
      plain_cameras: which of the model's cameras are perspective ones without lens intrinsics.
      planes, capsules: ids of the drawn geoms of each kind; a sphere is a capsule without length.
    """

    size: Float[Array, "geoms 3"]
    rgba: Float[Array, "geoms 4"]
    specular: Float[Array, "geoms"]
    shininess: Float[Array, "geoms"]
    emission: Float[Array, "geoms"]
    tint_even: Float[Array, "geoms 3"]
    tint_odd: Float[Array, "geoms 3"]
    checker_scale: Float[Array, "geoms 2"]
    sky: Float[Array, "degree 3"]
    camera_fovy: Float[Array, "cameras"]
    lights: Lights
    clip: tuple[float, float] = dataclasses.field(metadata=_STATIC)
    shadow_reach: float = dataclasses.field(metadata=_STATIC)
    has_sky: bool = dataclasses.field(metadata=_STATIC)
    planes: tuple[int, ...] = dataclasses.field(metadata=_STATIC)
    capsules: tuple[int, ...] = dataclasses.field(metadata=_STATIC)
    checkered: tuple[int, ...] = dataclasses.field(metadata=_STATIC)
    plain_cameras: tuple[bool, ...] = dataclasses.field(metadata=_STATIC)
    camera_names: tuple[str, ...] = dataclasses.field(metadata=_STATIC)
    body_names: tuple[str, ...] = dataclasses.field(metadata=_STATIC)
    light_rig: LightRig = dataclasses.field(metadata=_STATIC)

    @classmethod
    def from_mujoco(cls, mj_model: mujoco.MjModel, groups: Sequence[int] = _VISIBLE_GROUPS) -> "Scene":
        """Reads the looks of a model.

        Args:
          mj_model: a compiled model.
          groups: geom groups that are drawn; by default those that MuJoCo's viewer shows.
            Geoms of alpha 0 are never drawn.

        Raises:
          ValueError: a drawn geom is of a type that this renderer does not know; the message
            names it and says what to do.
        """
        m = mj_model
        first = read_surfaces(m, [])  # colours decide what is drawn, so before the textures
        drawn = [g for g in range(m.ngeom) if first.rgba[g, 3] > 0 and m.geom_group[g] in groups]
        for geom in drawn:
            _check_drawable(m, geom, first.rgba[geom, 3])
        surfaces = read_surfaces(m, drawn)
        planes = tuple(g for g in drawn if m.geom_type[g] == _GEOM.mjGEOM_PLANE)
        size = np.array(m.geom_size, np.float32)
        spheres = m.geom_type == _GEOM.mjGEOM_SPHERE
        size[spheres, 1:] = 0  # a sphere is drawn as a capsule of half length 0
        extent = float(m.stat.extent)
        return cls(
            size=jnp.asarray(size),
            **{name: jnp.asarray(array) for name, array in surfaces._asdict().items()},
            sky=jnp.asarray(read_sky(m)),
            camera_fovy=jnp.asarray(m.cam_fovy, jnp.float32),
            lights=Lights.from_mujoco(m),
            clip=(float(m.vis.map.znear) * extent, float(m.vis.map.zfar) * extent),
            shadow_reach=float(m.vis.map.shadowclip) * extent,
            has_sky=bool(np.any(m.tex_type == mujoco.mjtTexture.mjTEXTURE_SKYBOX)),
            planes=planes,
            capsules=tuple(g for g in drawn if g not in planes),
            checkered=tuple(g for g in planes if np.any(surfaces.checker_scale[g])),
            plain_cameras=_plain_cameras(m),
            camera_names=_names(m, mujoco.mjtObj.mjOBJ_CAMERA, m.ncam),
            body_names=_names(m, mujoco.mjtObj.mjOBJ_BODY, m.nbody),
            light_rig=LightRig.from_mujoco(m),
        )

    def view(self, data: Any, camera: str | Camera) -> View:
        """Where everything is at one pose.

        Args:
          data: an `mjx.Data` or `mujoco.MjData` after kinematics; batches by `vmap`.
          camera: the name of one of the model's cameras, or a `Camera`.

        Raises:
          ValueError: no camera, or no body to follow, has that name; or the camera is not a plain
            perspective one.
        """
        position, frame, fovy = self._place_camera(data, camera)
        if hasattr(data, "light_xpos"):
            light_pos, light_dir = data.light_xpos, data.light_xdir
        else:
            light_pos, light_dir = self.light_rig.place(data)
        return View(
            geom_pos=jnp.asarray(data.geom_xpos, jnp.float32),
            geom_mat=jnp.asarray(data.geom_xmat, jnp.float32).reshape(-1, 3, 3),
            camera_pos=jnp.asarray(position, jnp.float32),
            camera_mat=jnp.asarray(frame, jnp.float32).reshape(3, 3),
            fovy=jnp.asarray(fovy, jnp.float32),
            light_pos=jnp.asarray(light_pos, jnp.float32).reshape(-1, 3),
            light_dir=jnp.asarray(light_dir, jnp.float32).reshape(-1, 3),
        )

    def _place_camera(self, data: Any, camera: str | Camera) -> tuple[Any, Any, Any]:
        if isinstance(camera, str):
            index = _find(camera, self.camera_names, "camera")
            if not self.plain_cameras[index]:
                raise ValueError(
                    f"camera {camera!r} is orthographic or has lens intrinsics, which are not drawn so far: "
                    "give it a fovy, or use a Camera"
                )
            return data.cam_xpos[index], data.cam_xmat[index], self.camera_fovy[index]
        body = None if camera.body is None else data.xpos[_find(camera.body, self.body_names, "body")]
        return *camera.placed(body), camera.fovy


def _names(m: mujoco.MjModel, kind: mujoco.mjtObj, count: int) -> tuple[str, ...]:
    return tuple(mujoco.mj_id2name(m, kind, i) or "" for i in range(count))


def _plain_cameras(m: mujoco.MjModel) -> tuple[bool, ...]:
    perspective = m.cam_projection == mujoco.mjtProjection.mjPROJ_PERSPECTIVE
    return tuple(bool(plain) for plain in perspective & np.all(m.cam_sensorsize == 0, axis=-1))


def _find(name: str, names: tuple[str, ...], kind: str) -> int:
    if name in names:
        return names.index(name)
    known = ", ".join(repr(n) for n in names if n) or "none"
    raise ValueError(f"the model has no {kind} {name!r}; it has {known}")


def _check_drawable(m: mujoco.MjModel, geom: int, alpha: float) -> None:
    kind = _GEOM(m.geom_type[geom])
    name = mujoco.mj_id2name(m, mujoco.mjtObj.mjOBJ_GEOM, geom)
    called = f"geom {name!r}" if name else f"geom number {geom} (unnamed)"
    if kind not in (_GEOM.mjGEOM_PLANE, _GEOM.mjGEOM_SPHERE, _GEOM.mjGEOM_CAPSULE):
        raise ValueError(
            f"cannot draw {called} of type {kind.name.removeprefix('mjGEOM_').lower()}: only planes, spheres "
            "and capsules are drawn so far; give it another type for drawing, rgba alpha 0, or a geom group "
            "that is not drawn (the argument `groups`)"
        )
    if alpha < _OPAQUE:
        warnings.warn(
            f"{called} has alpha {alpha:.2f} but is drawn opaque: see-through is not drawn so far",
            stacklevel=3,
        )
