"""Frames by MJX-Warp's ray tracer (extra `warp`), for the same views as the ray caster's.

It needs an NVIDIA GPU, or a CPU for tests; nothing can be differentiated through it. Physics may be
MJX's own (`impl='jax'`): only the poses in a `View` are handed over, within the same compiled
program. What it draws otherwise than MuJoCo's classic renderer: no haze, no filter on
textures, cube textures laid on in another way, lights summed before they are clamped, point lights that
fade from their axis.

The number of worlds is part of a compiled program and of the renderer's buffers: `vmap`, also
nested, draws all worlds in one launch; `lax.map` draws them one after the other. Buffers are kept
for as long as the process lives, because compiled programs refer to them by number.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import mujoco
import mujoco.mjx.warp as mjx_warp
import numpy as np
from jaxtyping import Array, Float, UInt8
from mujoco import mjx

from jaxrm.render.camera import plain_cameras
from jaxrm.render.source import Source
from jaxrm.render.view import Picture, View, is_finite

T = TypeVar("T")
_NO_MATERIAL = {"mat_specular": 0.5, "mat_shininess": 0.5, "mat_emission": 0.0}  # MuJoCo's numbers
_TAKES_MATERIAL = (0.5, 0.5, 0.5, 1.0)  # a geom of this colour takes its material's


class Looks(NamedTuple):
    """What may differ between worlds; the fields are those of `Scene` and of its `Lights`."""

    size: Float[Array, "*batch geoms 3"]
    rgba: Float[Array, "*batch geoms 4"]
    specular: Float[Array, "*batch geoms"]
    shininess: Float[Array, "*batch geoms"]
    emission: Float[Array, "*batch geoms"]
    light_ambient: Float[Array, "*batch lights 3"]
    light_diffuse: Float[Array, "*batch lights 3"]
    light_specular: Float[Array, "*batch lights 3"]

    @classmethod
    def of(cls, scene: Any) -> "Looks":
        """Those of a `Scene`."""
        lights = scene.lights
        surfaces = (scene.size, scene.rgba, scene.specular, scene.shininess, scene.emission)
        return cls(*surfaces, lights.ambient, lights.diffuse, lights.specular)


def why_not() -> str | None:
    """Why frames cannot be drawn here, with what to do about it; None where they can."""
    if not mjx_warp.WARP_INSTALLED:
        return 'the packages of NVIDIA Warp are not installed: pip install "jaxrm[warp]"'
    if jax.default_backend() == "cpu":
        return None
    try:
        jax.devices("cuda")
    except RuntimeError:
        kind = jax.devices()[0].device_kind
        return f"MJX-Warp draws on NVIDIA GPUs and on CPUs, not on {kind}: use the ray caster there"
    return None


def draw(
    source: Source,
    view: View,
    height: int,
    width: int,
    shadows: bool = True,
    samples: int = 1,
    looks: Looks | None = None,
) -> UInt8[Array, "height width 3"]:
    """Draws one pose; `vmap` over `view` (and `looks`) for a batch.

    Args:
      source: the model.
      view: positions; any camera, whether or not it is the model's.
      height, width: size of the frame, pixels; static.
      shadows: whether the lights that cast shadows do; static.
      samples: each pixel is the mean of samples x samples rays; static.
      looks: in place of the model's own.

    Returns:
      uint8 [height, width, 3]; black if anything in `view` is not finite.

    Raises:
      RuntimeError: the backend cannot run here; the message is that of `why_not`.
      ValueError: the model has no perspective camera, whose place the view's could take.
    """
    rgb = _call(source, view, height * samples, width * samples, shadows, False, looks).rgb
    return _mean(rgb, samples)


def draw_all(
    source: Source,
    view: View,
    height: int,
    width: int,
    shadows: bool = True,
    samples: int = 1,
    looks: Looks | None = None,
) -> Picture:
    """Like `draw`, with depth and segmentation, which are those of the pixels' centres."""
    picture = _call(source, view, height, width, shadows, True, looks)
    if samples == 1:
        return picture
    return picture._replace(rgb=draw(source, view, height, width, shadows, samples, looks))


def _call(
    source: Source, view: View, height: int, width: int, shadows: bool, geometry: bool, looks: Looks | None
) -> Picture:
    reason = why_not()
    if reason:
        raise RuntimeError(reason)
    draw_worlds = _drawer(source, height, width, shadows, geometry)
    batch = draw_worlds(*jax.tree.map(lambda a: jnp.asarray(a)[None], (view, looks)))
    return jax.tree.map(lambda a: a[0], batch)


@functools.cache
def _drawer(
    source: Source, height: int, width: int, shadows: bool, geometry: bool
) -> Callable[[View, Looks | None], Picture]:
    """A function of worlds [n, ...] that `vmap` turns into one of more worlds."""

    @jax.custom_batching.custom_vmap
    def draw_worlds(views: View, looks: Looks | None) -> Picture:
        return _draw_worlds(
            _stage(source, views.fovy.shape[0], height, width, shadows, geometry), views, looks
        )

    @draw_worlds.def_vmap
    def _(axis_size: int, batched: Any, views: View, looks: Looks | None) -> tuple[Picture, Picture]:
        def merged(leaf: Array, is_batched: bool) -> Array:
            leaf = leaf if is_batched else jnp.broadcast_to(leaf, (axis_size, *leaf.shape))
            return leaf.reshape(axis_size * leaf.shape[1], *leaf.shape[2:])

        drawn = draw_worlds(*jax.tree.map(merged, (views, looks), tuple(batched)))
        split = jax.tree.map(lambda a: a.reshape(axis_size, a.shape[0] // axis_size, *a.shape[1:]), drawn)
        return split, jax.tree.map(lambda _: True, split)

    return draw_worlds


@dataclasses.dataclass(frozen=True, eq=False)
class _Stage:
    """A model on the device, with the renderer's buffers for a number of worlds."""

    model: mjx.Model
    data: mjx.Data
    context: Any
    camera: int  # whose place the views' cameras take
    far: float  # metres
    height: int
    width: int
    geometry: bool


@functools.cache
def _stage(source: Source, worlds: int, height: int, width: int, shadows: bool, geometry: bool) -> _Stage:
    m = source.mj_model
    camera = _camera_slot(m)
    context = mjx.create_render_context(
        m,
        worlds,
        cam_res=(width, height),
        cam_active=[camera],
        render_rgb=True,
        render_depth=geometry,
        render_seg=geometry,
        use_shadows=shadows,
        shadow_light_fraction=0.0,
        render_skybox=True,
        use_precomputed_rays=False,  # each view brings its own field of view
        enabled_geom_groups=list(source.groups),
    )
    # within a larger program Warp would capture a new graph at each call if buffers were not staged
    on_gpu = jax.default_backend() != "cpu"
    mode = mjx_warp.types.GraphMode.WARP_STAGED if on_gpu else None
    with jax.ensure_compile_time_eval():  # kept between traces, so no tracer may be in it
        model = _with_material_per_geom(mjx.put_model(m, impl="warp", graph_mode=mode), m)
        data = mjx.make_data(m, impl="warp", naconmax=1, njmax=1)
    far = float(m.vis.map.zfar * m.stat.extent)
    return _Stage(model, data, context, camera, far, height, width, geometry)


def _camera_slot(m: mujoco.MjModel) -> int:
    plain = np.flatnonzero(plain_cameras(m))
    if not len(plain):
        raise ValueError(
            "MJX-Warp draws with a camera's place in the model and this one has no plain perspective camera: "
            'add <camera name="any"/> to its worldbody'
        )
    return int(plain[0])


def _with_material_per_geom(model: mjx.Model, m: mujoco.MjModel) -> mjx.Model:
    """Every geom gets a material of its own, so that looks may be given by geom."""
    has, material = m.geom_matid >= 0, np.maximum(m.geom_matid, 0)

    def by_geom(rows: np.ndarray, otherwise: Any) -> np.ndarray:
        missing = np.broadcast_to(np.asarray(otherwise, rows.dtype), (m.ngeom, *rows.shape[1:]))
        if not m.nmat:
            return missing
        return np.where(has.reshape(-1, *[1] * (rows.ndim - 1)), rows[material], missing)

    plain = np.all(m.geom_rgba == np.asarray(_TAKES_MATERIAL, np.float32), axis=-1)
    rgba = np.where(plain[:, None], by_geom(m.mat_rgba, _TAKES_MATERIAL), m.geom_rgba)
    changes = {
        "geom_matid": np.arange(m.ngeom),
        "geom_rgba": rgba,
        "mat_rgba": rgba,
        "mat_texid": by_geom(m.mat_texid, -1),
        "_impl.mat_texrepeat": by_geom(m.mat_texrepeat, 1),
        "_impl.mat_texuniform": by_geom(m.mat_texuniform, 0).astype(bool),
        **{name: by_geom(getattr(m, name), value) for name, value in _NO_MATERIAL.items()},
    }
    return _replaced(model, {name: jnp.asarray(value) for name, value in changes.items()})


def _draw_worlds(stage: _Stage, views: View, looks: Looks | None) -> Picture:
    """`views` [n, ...] -> arrays [n, height, width, ...]."""
    ok = is_finite(views)[:, None, None]
    views = jax.tree.map(jnp.nan_to_num, views)
    handle = stage.context.pytree()

    def one(view: View, look: Looks | None) -> tuple[Array, Array, Array]:
        model, data = _dressed(stage, view, look), _placed(stage, view)
        data = mjx.refit_bvh(model, data, handle)
        if stage.geometry:
            return mjx.render_with_segmentation(model, data, handle)[:3]
        return (*mjx.render(model, data, handle)[:2], jnp.zeros(()))

    words, depth, segmentation = jax.vmap(one)(views, looks)
    shape = (-1, stage.height, stage.width)
    words = jnp.where(ok, words.reshape(shape), 0)
    # a word's bytes are blue, green, red and alpha
    rgb = jax.lax.bitcast_convert_type(words.astype(jnp.uint32), jnp.uint8)[..., 2::-1]
    if not stage.geometry:
        return Picture(rgb, *2 * (jnp.zeros(rgb.shape[:-1]),))
    ids = jnp.where(ok, segmentation[..., 0].reshape(shape), -1)
    return Picture(rgb, jnp.where(ids >= 0, depth.reshape(shape), stage.far), ids)


def _replaced(tree: T, changes: dict[str, Any]) -> T:
    return tree.tree_replace(changes)  # type: ignore[attr-defined]


def _placed(stage: _Stage, view: View) -> mjx.Data:
    """Data whose geoms, lights and one camera are where the view has them."""
    data = stage.data
    return _replaced(
        data,
        {
            "geom_xpos": view.geom_pos,
            "geom_xmat": view.geom_mat,
            "cam_xpos": data.cam_xpos.at[stage.camera].set(view.camera_pos),
            "cam_xmat": data.cam_xmat.at[stage.camera].set(view.camera_mat),
            "_impl.light_xpos": view.light_pos,
            "_impl.light_xdir": view.light_dir,
        },
    )


def _dressed(stage: _Stage, view: View, looks: Looks | None) -> mjx.Model:
    model = stage.model
    changes = {"cam_fovy": model.cam_fovy.at[stage.camera].set(view.fovy)}
    if looks is not None:
        changes |= {
            "geom_size": looks.size,
            "geom_rgba": looks.rgba,
            "mat_rgba": looks.rgba,
            "mat_specular": looks.specular,
            "mat_shininess": looks.shininess,
            "mat_emission": looks.emission,
            "light_ambient": looks.light_ambient,
            "light_diffuse": looks.light_diffuse,
            "light_specular": looks.light_specular,
        }
    return _replaced(model, changes)


def _mean(rgb: UInt8[Array, "fine_height fine_width 3"], samples: int) -> UInt8[Array, "height width 3"]:
    if samples == 1:
        return rgb
    h, w = rgb.shape[0] // samples, rgb.shape[1] // samples
    blocks = rgb.reshape(h, samples, w, samples, 3).astype(jnp.float32)
    return jnp.round(blocks.mean((1, 3))).astype(jnp.uint8)
