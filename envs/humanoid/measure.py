"""Measured geometry of a posture: the numbers that tasks and captions are told by."""

from typing import NamedTuple

import jax.numpy as jnp
import mujoco
from jaxtyping import Array, Float

from envs.humanoid.contact import lowest, overlap
from envs.kinematics import Frames

Scalar = Float[Array, ""]
Sides = Float[Array, "2"]  # right, left


class Measures(NamedTuple):
    """Heights above the floor and distances in metres, directions as cosines; pairs are right, left."""

    off_floor: Scalar  # of the lowest point; negative inside the floor
    overlap: Scalar  # depth of the deepest pair of limbs that should not meet; negative where none does
    upright: Scalar  # cosine of the torso's axis with the vertical
    facing_up: Scalar  # height of the torso's front direction: 1 on the back, -1 on the belly
    left_up: Scalar  # height of the torso's left direction: 1 on the right side, -1 on the left side
    pelvis_upright: Scalar
    head: Scalar
    torso: Scalar
    hips: Scalar  # mean of the hip joints
    knees: Sides
    ankles: Sides  # centre of the foot's ball
    thigh_drop: Sides  # cosine of hip->knee with straight down
    shin_drop: Sides  # cosine of knee->foot with straight down
    knee_straight: Sides  # cosine between thigh and shin
    knee_gap: Scalar
    ankle_gap: Scalar
    legs_along: Scalar  # cosine between hip->foot of the two legs: 1 side by side, 0 at right angles
    ankle_ahead: Sides  # of the hip, along the pelvis' front
    ankle_out: Sides  # sideways from the middle of the hips, outward positive
    knee_out: Sides
    knee_ahead: Sides
    hands: Sides  # centre of the hand's ball
    hands_above_head: Sides
    hands_above_shoulders: Sides
    hands_out: Sides  # sideways from the torso's middle, outward positive: crossed hands are negative
    hands_ahead: Sides  # of the torso's middle
    hands_to_hips: Sides  # from the hand to the same side's point of the hip
    elbows_out: Sides


def measure(model: mujoco.MjModel, data: Frames) -> Measures:
    """Reads the measures from fresh kinematics; names are looked up on the host."""
    xpos, geom_xpos, xmat = data.xpos, data.geom_xpos, data.xmat

    def body(name: str) -> int:
        return model.body(name).id

    def bodies(part: str) -> Float[Array, "2 3"]:
        return jnp.stack([xpos[body(f"right_{part}")], xpos[body(f"left_{part}")]])

    def geoms(part: str) -> Float[Array, "2 3"]:
        return jnp.stack([geom_xpos[model.geom(f"{side}_{part}").id] for side in ("right", "left")])

    torso_frame, pelvis_frame = xmat[body("torso")], xmat[body("pelvis")]
    torso, pelvis = xpos[body("torso")], xpos[body("pelvis")]
    hips, knees, ankles = bodies("thigh"), bodies("shin"), geoms("foot")
    shoulders, elbows, hands = bodies("upper_arm"), bodies("lower_arm"), geoms("hand")
    head = geom_xpos[model.geom("head").id]
    outward = jnp.array([-1.0, 1.0])  # the body's y axis points to its left

    def towards(top: Array, bottom: Array) -> Float[Array, "2 3"]:
        return (bottom - top) / jnp.linalg.norm(bottom - top, axis=-1, keepdims=True)

    thighs, shins, legs = towards(hips, knees), towards(knees, ankles), towards(hips, ankles)

    # the points of the hips where a hand rests: beside the pelvis' capsule, a hand's radius away
    hip_points = pelvis + jnp.array([[-0.02, -0.20, 0.02], [-0.02, 0.20, 0.02]]) @ pelvis_frame.T
    return Measures(
        off_floor=lowest(model, data),
        overlap=overlap(model, data),
        upright=torso_frame[2, 2],
        facing_up=torso_frame[2, 0],
        left_up=torso_frame[2, 1],
        pelvis_upright=pelvis_frame[2, 2],
        head=head[2],
        torso=torso[2],
        hips=hips[:, 2].mean(),
        knees=knees[:, 2],
        ankles=ankles[:, 2],
        thigh_drop=-thighs[:, 2],
        shin_drop=-shins[:, 2],
        knee_straight=(thighs * shins).sum(-1),
        knee_gap=jnp.linalg.norm(knees[0] - knees[1]),
        ankle_gap=jnp.linalg.norm(ankles[0] - ankles[1]),
        legs_along=legs[0] @ legs[1],
        ankle_ahead=(ankles - hips) @ pelvis_frame[:, 0],
        ankle_out=(ankles - hips.mean(0)) @ pelvis_frame[:, 1] * outward,
        knee_out=(knees - hips.mean(0)) @ pelvis_frame[:, 1] * outward,
        knee_ahead=(knees - hips) @ pelvis_frame[:, 0],
        hands=hands[:, 2],
        hands_above_head=hands[:, 2] - head[2],
        hands_above_shoulders=hands[:, 2] - shoulders[:, 2],
        hands_out=(hands - torso) @ torso_frame[:, 1] * outward,
        hands_ahead=(hands - torso) @ torso_frame[:, 0],
        hands_to_hips=jnp.linalg.norm(hands - hip_points, axis=-1),
        elbows_out=(elbows - torso) @ torso_frame[:, 1] * outward,
    )
