"""The standard 17-actuator humanoid, dressed and given the contacts that the packaged one lacks.

The body comes from brax's `humanoid.xml` (18 geoms, 0.003 s x 5 substeps). Out of the box only its
feet touch the floor and nothing touches itself; here every limb touches the floor, and the pairs that
matter touch each other, or crossed arms would pass through the chest.
"""

import re
from importlib.resources import files

import mujoco
import numpy as np

SUBSTEPS = 5
START_HEIGHT = 1.293  # m, torso; the soles rest on the floor with straight legs

# Looks: each limb has a colour of its own, the right side warm and the left side cold, and the front
# carries marks, so that a picture tells left from right and front from back.
SKIN = {
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

SELF_CONTACTS = (
    *(
        (f"{side}_{part}", trunk)
        for side in ("right", "left")
        for part in ("larm", "hand")
        for trunk in ("torso1", "uwaist")
    ),
    *(
        (f"{side}_hand", part)
        for side in ("right", "left")
        for part in ("butt", "lwaist", "head", f"{side}_thigh1")
    ),
    ("right_larm", "left_larm"),
    ("right_hand", "left_hand"),
    ("right_hand", "left_larm"),
    ("left_hand", "right_larm"),
    ("right_thigh1", "left_thigh1"),
    ("right_shin1", "left_shin1"),
    ("right_thigh1", "left_shin1"),
    ("left_thigh1", "right_shin1"),
    ("right_foot", "left_foot"),
    ("right_foot", "left_shin1"),
    ("left_foot", "right_shin1"),
)

TORQUE_LIMIT = 0.4  # of the gear, the packaged motors' control range
# Joint-target control: torque = gear * clip(STIFFNESS (target - q) - DAMPING dq, -limit, limit)
STIFFNESS = 2.0  # 1/rad
DAMPING = 0.10  # s/rad


def make_spec(control: str = "position") -> mujoco.MjSpec:
    """The humanoid in its scene.

    Args:
      control: "position", joint targets with PD inside the substeps; "torque", the packaged motors.

    Raises:
      ValueError: another word for `control`.
    """
    if control not in ("position", "torque"):
        raise ValueError(f"control must be 'position' or 'torque', not {control!r}")
    spec = mujoco.MjSpec.from_string(_packaged_xml())
    _set_solver(spec)
    _dress(spec)
    _add_contacts(spec)
    if control == "position":
        _control_by_joint_targets(spec)
    return spec


def _packaged_xml() -> str:
    text = files("brax").joinpath("envs/assets/humanoid.xml").read_text()
    # brax's own numeric settings mean nothing to MJX
    return re.sub(r"<custom>.*?</custom>", "", text, flags=re.DOTALL)


def _set_solver(spec: mujoco.MjSpec) -> None:
    """Two Newton steps with four line-search steps instead of the packaged 8 and 50, for speed."""
    spec.option.iterations = 2
    spec.option.ls_iterations = 4
    spec.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_EULERDAMP
    # MJX keeps the deepest 12 contacts per contact dimension and drops the rest
    spec.add_numeric(name="max_contact_points", data=[12.0])


def _dress(spec: mujoco.MjSpec) -> None:
    for texture in list(spec.textures):
        spec.delete(texture)
    for material in list(spec.materials):
        spec.delete(material)
    spec.add_texture(
        name="sky", type=mujoco.mjtTexture.mjTEXTURE_SKYBOX, builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.75, 0.85, 0.95], rgb2=[0.35, 0.45, 0.60], width=64, height=64,
    )  # fmt: skip
    spec.add_texture(
        name="tiles", type=mujoco.mjtTexture.mjTEXTURE_2D, builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        rgb1=[0.42, 0.42, 0.42], rgb2=[0.58, 0.58, 0.56], width=64, height=64,
    )  # fmt: skip
    floor = spec.add_material(name="tiles", texrepeat=[1, 1], texuniform=True, specular=0, shininess=0)
    floor.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "tiles"
    spec.add_material(name="skin", specular=0.2, shininess=0.3)
    for geom in spec.geoms:
        geom.material = "tiles" if geom.name == "floor" else "skin"
        geom.rgba = (1, 1, 1, 1) if geom.name == "floor" else SKIN[geom.name]
    for name, (body, kind, place, radius, colour) in MARKS.items():
        spec.body(body).add_geom(
            name=name, type=getattr(mujoco.mjtGeom, f"mjGEOM_{kind.upper()}"), fromto=place,
            size=[radius, 0, 0], rgba=colour, material="skin", mass=0, contype=0, conaffinity=0,
        )  # fmt: skip
    _light(spec)


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


def _add_contacts(spec: mujoco.MjSpec) -> None:
    for geom in spec.geoms:
        if geom.name != "floor" and geom.name not in MARKS:
            geom.contype, geom.conaffinity = 1, 0  # the floor has conaffinity 1: limbs meet it alone
    for first, second in SELF_CONTACTS:
        # frictionless: one constraint row instead of four
        spec.add_pair(geomname1=first, geomname2=second, condim=1)


def _control_by_joint_targets(spec: mujoco.MjSpec) -> None:
    for actuator in spec.actuators:
        gear = actuator.gear[0]
        low, high = spec.joint(actuator.target).range
        actuator.gear = [1, 0, 0, 0, 0, 0]
        actuator.set_to_position(kp=STIFFNESS * gear, kv=DAMPING * gear)
        actuator.ctrlrange = np.deg2rad([low, high])  # the file's joint ranges are in degrees
        actuator.ctrllimited = True
        actuator.forcerange = np.array([-TORQUE_LIMIT * gear, TORQUE_LIMIT * gear])
        actuator.forcelimited = True
