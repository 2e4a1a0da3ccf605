"""The standard 17-actuator humanoid, dressed and given the contacts that the packaged one lacks.

The body comes from brax's `humanoid.xml` (18 geoms, 0.003 s x 5 substeps). Out of the box only its
feet touch the floor and nothing touches itself; here every limb touches the floor, and the pairs that
matter touch each other, or crossed arms would pass through the chest.
"""

import re
from importlib.resources import files

import mujoco
import numpy as np

from envs.humanoid.skins import MARKS, dress

SUBSTEPS = 5
START_HEIGHT = 1.293  # m, torso; the soles rest on the floor with straight legs

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


def make_spec(control: str = "position", skin: str = "robot") -> mujoco.MjSpec:
    """The humanoid in its scene.

    Args:
      control: "position", joint targets with PD inside the substeps; "torque", the packaged motors.
      skin: a look, see `envs.humanoid.skins`.

    Raises:
      ValueError: another word for `control` or `skin`.
    """
    if control not in ("position", "torque"):
        raise ValueError(f"control must be 'position' or 'torque', not {control!r}")
    spec = mujoco.MjSpec.from_string(_packaged_xml())
    _set_solver(spec)
    dress(spec, skin)
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
