"""What a model looks like, apart from where everything is."""

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt32

from jaxrm.render import images
from jaxrm.render.camera import Camera, plain_cameras
from jaxrm.render.lights import LightRig, Lights
from jaxrm.render.materials import Surfaces, read_surfaces
from jaxrm.render.mesh import Meshes
from jaxrm.render.skybox import fit_gradient
from jaxrm.render.source import Source
from jaxrm.render.view import View

_GEOM = mujoco.mjtGeom
_KINDS = {  # the field of `Scene` that lists geoms of a type
    _GEOM.mjGEOM_PLANE: "planes",
    _GEOM.mjGEOM_SPHERE: "capsules",
    _GEOM.mjGEOM_CAPSULE: "capsules",
    _GEOM.mjGEOM_ELLIPSOID: "ellipsoids",
    _GEOM.mjGEOM_CYLINDER: "cylinders",
    _GEOM.mjGEOM_BOX: "boxes",
    _GEOM.mjGEOM_MESH: "meshes",
}
_NOT_IN_SCENE = ("texture", "by_texcoord", "reflectance")  # what becomes static
_OPAQUE = 0.995  # MuJoCo's own limit
_STATIC = {"static": True}
_VISIBLE_GROUPS = (0, 1, 2)  # what MuJoCo's own viewer shows unless told otherwise


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Assets:
    """What is large and shared by frames: a batch of these is drawn one after the other.

    Attributes:
      texels: of all sampled textures, red in the lowest byte.
      meshes: the faces of all drawn meshes.
    """

    texels: UInt32[Array, "texels"]
    meshes: Meshes


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Scene:
    """Shapes, colours and lights of a model: a pytree whose arrays may be batched with `vmap`.

    Per-geom arrays are in the model's order and cover geoms that are not drawn as well. Change
    looks with `dataclasses.replace(scene, rgba=...)`, images with `scene.with_texture(...)`.

    Attributes:
      size: MuJoCo's sizes, metres (sphere: radius; capsule, cylinder: radius, half length; ellipsoid: radii;
        box: half lengths; plane: half lengths, 0 for infinite; meshes have none).
      rgba: colours from 0 to 1, after the rules of materials; the texture's tint multiplies them.
      specular, shininess, emission: as in MuJoCo's materials.
      tint_even, tint_odd: the two colours of a checker; equal where there is none.
      checker_scale: repeats of the checker per two metres along the plane's x and y; 0 without.
      texture_scale: of cube textures: from metres along the geom's axes to the cube.
      texture_repeat: of two-dimensional textures: how often they go around the geom, or across it.
      sky: the background's colour as a polynomial in the sine of the elevation: coefficients, constant
        first.
      haze: colour of the haze on the horizon, and its width (`vis.map.haze`).
      camera_fovy: of the model's cameras, degrees.
      lights: the model's lights and the headlight.
      assets: images and meshes.
      clip: distances of the near and the far plane, metres; geoms beyond are not drawn.
      shadow_reach: half width of the square around a directional light that can be in shadow, metres.
      kinds: MuJoCo's type of each geom.
      planes, capsules, ellipsoids, cylinders, boxes, meshes: ids of the drawn geoms of each kind; a sphere is
        a capsule without length.
      finite_planes: those that cast shadows.
      checkered: planes with checkers, which are drawn without an image.
      textures: the sampled images; `texture_of` is the number of each geom's, -1 for none; geoms in
        `by_texcoord` follow their mesh's texture coordinates; `sky_texture` is the skybox's if it is sampled.
      haze_plane: the plane on whose horizon there is haze.
      plain_cameras: which of the model's cameras are perspective ones without lens intrinsics.
      source: the model, for other renderers.
    """

    size: Float[Array, "geoms 3"]
    rgba: Float[Array, "geoms 4"]
    specular: Float[Array, "geoms"]
    shininess: Float[Array, "geoms"]
    emission: Float[Array, "geoms"]
    tint_even: Float[Array, "geoms 3"]
    tint_odd: Float[Array, "geoms 3"]
    checker_scale: Float[Array, "geoms 2"]
    texture_scale: Float[Array, "geoms 3"]
    texture_repeat: Float[Array, "geoms 2"]
    sky: Float[Array, "degree 3"]
    haze: Float[Array, "4"]
    camera_fovy: Float[Array, "cameras"]
    lights: Lights
    assets: Assets
    clip: tuple[float, float] = dataclasses.field(metadata=_STATIC)
    shadow_reach: float = dataclasses.field(metadata=_STATIC)
    has_sky: bool = dataclasses.field(metadata=_STATIC)
    kinds: tuple[int, ...] = dataclasses.field(metadata=_STATIC)
    planes: tuple[int, ...] = dataclasses.field(metadata=_STATIC)
    capsules: tuple[int, ...] = dataclasses.field(metadata=_STATIC)
    ellipsoids: tuple[int, ...] = dataclasses.field(metadata=_STATIC)
    cylinders: tuple[int, ...] = dataclasses.field(metadata=_STATIC)
    boxes: tuple[int, ...] = dataclasses.field(metadata=_STATIC)
    meshes: tuple[int, ...] = dataclasses.field(metadata=_STATIC)
    finite_planes: tuple[int, ...] = dataclasses.field(metadata=_STATIC)
    checkered: tuple[int, ...] = dataclasses.field(metadata=_STATIC)
    textures: tuple[images.Texture, ...] = dataclasses.field(metadata=_STATIC)
    texture_of: tuple[int, ...] = dataclasses.field(metadata=_STATIC)
    by_texcoord: tuple[int, ...] = dataclasses.field(metadata=_STATIC)
    sky_texture: int | None = dataclasses.field(metadata=_STATIC)
    haze_plane: int | None = dataclasses.field(metadata=_STATIC)
    plain_cameras: tuple[bool, ...] = dataclasses.field(metadata=_STATIC)
    camera_names: tuple[str, ...] = dataclasses.field(metadata=_STATIC)
    body_names: tuple[str, ...] = dataclasses.field(metadata=_STATIC)
    light_rig: LightRig = dataclasses.field(metadata=_STATIC)
    source: Source = dataclasses.field(metadata=_STATIC)

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
        surfaces = read_surfaces(m)
        drawn = [g for g in range(m.ngeom) if surfaces.rgba[g, 3] > 0 and m.geom_group[g] in groups]
        for geom in drawn:
            _check_drawable(m, geom, surfaces)
        extent = float(m.stat.extent)
        return cls(
            **_read_geoms(m, surfaces, drawn),
            **_read_background(m, surfaces, drawn),
            camera_fovy=jnp.asarray(m.cam_fovy, jnp.float32),
            lights=Lights.from_mujoco(m),
            clip=(float(m.vis.map.znear) * extent, float(m.vis.map.zfar) * extent),
            shadow_reach=float(m.vis.map.shadowclip) * extent,
            plain_cameras=tuple(bool(plain) for plain in plain_cameras(m)),
            camera_names=_names(m, mujoco.mjtObj.mjOBJ_CAMERA, m.ncam),
            body_names=_names(m, mujoco.mjtObj.mjOBJ_BODY, m.nbody),
            light_rig=LightRig.from_mujoco(m),
            source=Source(m, tuple(groups)),
        )

    def is_any(self, ids: tuple[int, ...], geom: Int[Array, "*any"]) -> Bool[Array, "*any"]:
        """Whether geoms are among some; numbers behind those of geoms count as the last."""
        return jnp.asarray(np.isin(np.arange(len(self.kinds)), ids)).at[geom].get(mode="clip")

    def with_texture(self, name: str, image: Float[Array, "*faces height width 3"]) -> "Scene":
        """The scene with another picture in the place of a texture; works under `vmap`.

        Args:
          name: of a sampled texture of the model (in `scene.textures`).
          image: colours from 0 to 1 in the texture's own size; six faces first for a cube.

        Raises:
          ValueError: no sampled texture has that name, or the image has another size.
        """
        index = _find(name, tuple(t.name for t in self.textures), "sampled texture")
        texels = images.replace(self.assets.texels, self.textures[index], image)
        return dataclasses.replace(self, assets=dataclasses.replace(self.assets, texels=texels))

    def view(self, data: Any, camera: str | Camera) -> View:
        """Where everything is at one pose.

        Args:
          data: an `mjx.Data` or `mujoco.MjData` after kinematics, or what has their `xpos`, `xmat`,
            `geom_xpos` and `geom_xmat`; batches by `vmap`.
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


def _find(name: str, names: tuple[str, ...], kind: str) -> int:
    if name in names:
        return names.index(name)
    known = ", ".join(repr(n) for n in names if n) or "none"
    raise ValueError(f"the model has no {kind} {name!r}; it has {known}")


def _read_geoms(m: mujoco.MjModel, surfaces: Surfaces, drawn: list[int]) -> dict[str, Any]:
    """The fields of `Scene` that are per geom, and the geoms of each kind."""
    kinds: dict[str, list[int]] = {name: [] for name in _KINDS.values()}
    for geom in drawn:
        kinds[_KINDS[_GEOM(m.geom_type[geom])]].append(geom)
    size = np.array(m.geom_size, np.float32)
    size[m.geom_type == _GEOM.mjGEOM_SPHERE, 1:] = 0  # a sphere is drawn as a capsule of half length 0
    fields = [field.name for field in dataclasses.fields(Surfaces) if field.name not in _NOT_IN_SCENE]
    return {
        "size": jnp.asarray(size),
        "kinds": tuple(int(kind) for kind in m.geom_type),
        "finite_planes": tuple(g for g in kinds["planes"] if np.all(size[g, :2] > 0)),
        "checkered": tuple(g for g in kinds["planes"] if np.any(surfaces.checker_scale[g])),
        "by_texcoord": tuple(g for g in drawn if surfaces.by_texcoord[g]),
        **{name: tuple(ids) for name, ids in kinds.items()},
        **{name: jnp.asarray(getattr(surfaces, name)) for name in fields},
    }


def _read_background(m: mujoco.MjModel, surfaces: Surfaces, drawn: list[int]) -> dict[str, Any]:
    """The fields of `Scene` for sky, haze and images."""
    gradient, sky_texture = fit_gradient(m)
    shown = {int(surfaces.texture[g]) for g in drawn} | {-1 if sky_texture is None else sky_texture}
    sampled = sorted(shown - {-1})
    textures, texels = images.build(m, sampled)
    number = {texture: i for i, texture in enumerate(sampled)}
    has_sky = bool(np.any(m.tex_type == mujoco.mjtTexture.mjTEXTURE_SKYBOX))
    planes = [g for g in drawn if m.geom_type[g] == _GEOM.mjGEOM_PLANE and not np.any(m.geom_size[g, :2])]
    meshes = tuple(g for g in drawn if m.geom_type[g] == _GEOM.mjGEOM_MESH)
    return {
        "sky": jnp.asarray(gradient),
        "has_sky": has_sky,
        "sky_texture": None if sky_texture is None else number[sky_texture],
        "haze": jnp.asarray([*m.vis.rgba.haze[:3], m.vis.map.haze], jnp.float32),
        "haze_plane": planes[0] if has_sky and planes else None,
        "textures": textures,
        "texture_of": tuple(
            number.get(int(t), -1) if g in drawn else -1 for g, t in enumerate(surfaces.texture)
        ),
        "assets": Assets(jnp.asarray(texels), Meshes.from_mujoco(m, meshes)),
    }


def _check_drawable(m: mujoco.MjModel, geom: int, surfaces: Surfaces) -> None:
    kind = _GEOM(m.geom_type[geom])
    name = mujoco.mj_id2name(m, mujoco.mjtObj.mjOBJ_GEOM, geom)
    called = f"geom {name!r}" if name else f"geom number {geom} (unnamed)"
    if kind not in _KINDS:
        raise ValueError(
            f"cannot draw {called} of type {kind.name.removeprefix('mjGEOM_').lower()}: give it another type "
            "for drawing, rgba alpha 0, or a geom group that is not drawn (the argument `groups`)"
        )
    if surfaces.rgba[geom, 3] < _OPAQUE:
        warnings.warn(
            f"{called} has alpha {surfaces.rgba[geom, 3]:.2f} but is drawn opaque: see-through is not drawn",
            stacklevel=3,
        )
    if surfaces.reflectance[geom] > 0:
        warnings.warn(f"{called} reflects, but reflections are not drawn", stacklevel=3)
