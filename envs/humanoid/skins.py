"""Looks of the humanoid and its scene; physics untouched.

`plain` is the packaged look, `textured` one in the manner of VLM-RM's (a sky, a tiled floor that does not
reflect, a body of metal plates; arXiv 2310.12921, section 4.2), `robot` the one that the default weights are
trained on.
"""

from collections.abc import Callable

import mujoco

# Each limb has a colour of its own, the right side warm and the left side cold, and the front carries
# marks, so that a picture tells left from right and front from back.
ROBOT = {
    "torso1": (0.25, 0.28, 0.38, 1),
    "head": (0.90, 0.78, 0.65, 1),
    "uwaist": (0.32, 0.36, 0.48, 1),
    "lwaist": (0.39, 0.43, 0.56, 1),
    "butt": (0.20, 0.20, 0.24, 1),
    "right_thigh1": (0.80, 0.20, 0.15, 1),
    "right_shin1": (0.95, 0.50, 0.15, 1),
    "right_foot": (0.45, 0.08, 0.08, 1),
    "left_thigh1": (0.12, 0.30, 0.80, 1),
    "left_shin1": (0.20, 0.65, 0.90, 1),
    "left_foot": (0.06, 0.10, 0.45, 1),
    "right_uarm1": (0.85, 0.25, 0.50, 1),
    "right_larm": (0.98, 0.55, 0.70, 1),
    "right_hand": (1.00, 0.85, 0.20, 1),
    "left_uarm1": (0.15, 0.55, 0.35, 1),
    "left_larm": (0.40, 0.80, 0.45, 1),
    "left_hand": (0.75, 1.00, 0.30, 1),
}
# Marks on the front, drawn only: name -> (body, geom type, fromto or position, radius, colour)
MARKS = {
    "visor": ("torso", "capsule", (0.06, -0.04, 0.205, 0.06, 0.04, 0.205), 0.042, (0.05, 0.05, 0.08, 1)),
    "chest": ("torso", "capsule", (0.04, -0.05, 0.0, 0.04, 0.05, 0.0), 0.05, (0.95, 0.95, 0.92, 1)),
}
_RGB = mujoco.mjtTextureRole.mjTEXROLE_RGB


def _plain(spec: mujoco.MjSpec) -> None:
    del spec  # as packaged


def _robot(spec: mujoco.MjSpec) -> None:
    _undress(spec)
    _sky_and_floor(spec, sky=((0.75, 0.85, 0.95), (0.35, 0.45, 0.60)), tiles=(0.42, 0.58))
    spec.add_material(name="skin", specular=0.2, shininess=0.3)
    for geom in spec.geoms:
        geom.material = "tiles" if geom.name == "floor" else "skin"
        geom.rgba = (1, 1, 1, 1) if geom.name == "floor" else ROBOT[geom.name]
    for name, (body, kind, place, radius, colour) in MARKS.items():
        spec.body(body).add_geom(
            name=name, type=getattr(mujoco.mjtGeom, f"mjGEOM_{kind.upper()}"), fromto=place,
            size=[radius, 0, 0], rgba=colour, material="skin", mass=0, contype=0, conaffinity=0,
        )  # fmt: skip
    _light(spec)


def _textured(spec: mujoco.MjSpec) -> None:
    _undress(spec)
    _sky_and_floor(spec, sky=((0.55, 0.70, 0.90), (0.20, 0.30, 0.50)), tiles=(0.35, 0.65))
    spec.add_texture(
        name="plates", type=mujoco.mjtTexture.mjTEXTURE_CUBE, builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        rgb1=[0.50, 0.52, 0.57], rgb2=[0.80, 0.82, 0.86], mark=mujoco.mjtMark.mjMARK_EDGE,
        markrgb=[0.15, 0.16, 0.20], width=128, height=128,
    )  # fmt: skip
    skin = spec.add_material(name="skin", specular=0.6, shininess=0.6)
    skin.textures[_RGB] = "plates"
    for geom in spec.geoms:
        geom.material = "tiles" if geom.name == "floor" else "skin"
        geom.rgba = (1, 1, 1, 1)
    _light(spec)


SKINS: dict[str, Callable[[mujoco.MjSpec], None]] = {"plain": _plain, "textured": _textured, "robot": _robot}


def dress(spec: mujoco.MjSpec, skin: str) -> None:
    """Gives the packaged humanoid a look.

    Raises:
      ValueError: no skin has that name.
    """
    if skin not in SKINS:
        raise ValueError(f"skin must be one of {', '.join(SKINS)}, not {skin!r}")
    SKINS[skin](spec)


def _undress(spec: mujoco.MjSpec) -> None:
    for asset in [*spec.textures, *spec.materials]:
        spec.delete(asset)


def _sky_and_floor(spec: mujoco.MjSpec, sky: tuple[tuple, tuple], tiles: tuple[float, float]) -> None:
    spec.add_texture(
        name="sky", type=mujoco.mjtTexture.mjTEXTURE_SKYBOX, builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=sky[0], rgb2=sky[1], width=64, height=64,
    )  # fmt: skip
    dark, bright = tiles
    spec.add_texture(
        name="tiles", type=mujoco.mjtTexture.mjTEXTURE_2D, builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        rgb1=[dark, dark, dark], rgb2=[bright, bright, bright - 0.02], width=64, height=64,
    )  # fmt: skip
    floor = spec.add_material(name="tiles", texrepeat=[1, 1], texuniform=True, specular=0, shininess=0)
    floor.textures[_RGB] = "tiles"


def _light(spec: mujoco.MjSpec) -> None:
    for light in list(spec.lights):
        spec.delete(light)
    spec.worldbody.add_light(
        name="sun", type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, pos=[0, 0, 4], dir=[-0.35, 0.25, -1],
        diffuse=[0.65, 0.65, 0.62], specular=[0.2, 0.2, 0.2], ambient=[0, 0, 0], castshadow=True,
    )  # fmt: skip
    spec.visual.headlight.ambient = [0.35, 0.35, 0.37]
    spec.visual.headlight.diffuse = [0.25, 0.25, 0.25]
    spec.visual.headlight.specular = [0, 0, 0]
