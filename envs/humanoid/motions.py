"""Trajectories of a humanoid that does what it is told: key postures, and the ways between them.

Half glide from one to the next (kinematic); half aim at the same joints under physics, where they lag, sway,
bump and sometimes fall. `motion_truth` says which of them did it. Everything is pure and made on the device.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from envs.humanoid.env import Humanoid
from envs.humanoid.instructions import ACTIONS, ARMS, INSTRUCTIONS, LEGS, STEADY, action_table, courses
from envs.humanoid.postures import ARMS as ARM_POSTURES
from envs.humanoid.postures import LEGS as LEG_POSTURES
from envs.humanoid.postures import Sampler

STEP_SECONDS = 0.015  # of one control step
FRAMES, INTERVAL = 28, 10  # of a trajectory at most, and control steps from one to the next
# s that an action takes; one of two bands
SPEEDS = {
    "train": ((0.75, 1.35), (0.75, 1.35)),
    "held out": ((0.6, 0.75), (1.35, 1.8)),  # faster and slower than any of training
    "free": ((0.5, 0.75), (0.75, 1.35)),  # also as fast as joint targets move
}
BEFORE, BETWEEN, BEHIND = (0.1, 0.4), (0.0, 0.3), (0.25, 0.5)  # s at rest
FREE_BEFORE, FREE_BEHIND = (0.0, 0.2), (0.25, 2.0)  # policies do not wait, and their time goes on
LINGER = (0.0, 1.2)  # s more at rest after single actions, or their length would tell them from pairs
TURNS = (60.0, 110.0)  # degrees
# a hidden sector of the compass: cameras of training never see a body from there as it begins
HELD_OUT_VIEWS = (100.0, 150.0)  # degrees
NEUTRAL = ("hanging", "at the hips", "crossed", "loose")  # arms that nothing is said of
LOW_ARMS = NEUTRAL[:2]  # arms that are to be raised; places in NEUTRAL
# what legs pass through, of which one is drawn; unordered
VIAS = {
    ("standing", "kneeling"): ("half squat", "right foot ahead", "left foot ahead"),
    ("standing", "sitting"): ("squatting", "half squat", "squatting"),
}
STYLE, SWAY = 0.05, 0.03  # rad: noise of a trajectory's key joints, and of its slow sway


class Plan(NamedTuple):
    """One trajectory before it is carried out.

    Attributes:
      joints: rad, at the start, after the first action and after the last.
      lean, yaw: rad, of the torso at the same three.
      via, via_lean: halfway through each action.
      start, seconds: of each action; after `end` the trajectory is over. Seconds.
      bend: of time, each action's progress is smooth(u ** bend).
      sway: phase and size of a slow sway of each joint, rad.
    """

    joints: Float[Array, "3 joints"]
    lean: Float[Array, "3"]
    yaw: Float[Array, "3"]
    via: Float[Array, "2 joints"]
    via_lean: Float[Array, "2"]
    start: Float[Array, "2"]
    seconds: Float[Array, "2"]
    end: Float[Array, ""]
    bend: Float[Array, "2"]
    sway: Float[Array, "2 joints"]


class Motions:
    """Makes trajectories of `frames` frames at most, one every `interval` control steps."""

    def __init__(self, env: Humanoid, frames: int = FRAMES, interval: int = INTERVAL):
        if frames < 2 or interval < 1:
            raise ValueError(f"frames is {frames} and interval {interval}; wanted 2 and 1 at least")
        self.env, self.frames, self.interval = env, frames, interval
        self.seconds = interval * STEP_SECONDS
        self.sampler = sampler = Sampler(env)
        model = env.mj_model
        names = [model.joint(index).name for index in range(1, model.njnt)]
        self._is_left = np.array([name.startswith("left") for name in names])
        arm = np.array(["shoulder" in name or "elbow" in name for name in names])
        self.parts = np.array([~arm, arm & ~self._is_left, arm & self._is_left])  # which joints each has
        self._legs = jnp.stack([sampler.leg_joints(name) for name in LEGS])
        self._leans = jnp.deg2rad(jnp.array([LEG_POSTURES[name].lean for name in LEGS]))
        self._arms = jnp.stack([sampler.arm_joints(name) for name in NEUTRAL])
        self._raised = sampler.arm_joints("raised")
        self._vias, self._via_leans = self._via_tables()
        self._courses, self._count = _course_table()
        self._actions = action_table()
        self._low, self._high = jnp.asarray(model.jnt_range[1:]).T
        self._order = jnp.asarray(model.actuator_trnid[:, 0] - 1)  # actuators stand in another order
        self._feet = np.array([model.geom(f"{side}_foot").id for side in ("right", "left")])

    def _via_tables(self) -> tuple[Array, Array]:
        """[from, to, 3, joints] and the leans; the middle of both where nothing is named."""
        legs, leans = np.asarray(self._legs), np.asarray(self._leans)
        vias = np.repeat(((legs[:, None] + legs[None]) / 2)[:, :, None], 3, axis=2)
        via_leans = np.repeat(((leans[:, None] + leans[None]) / 2)[:, :, None], 3, axis=2)
        for pair, names in VIAS.items():
            a, b = (LEGS.index(name) for name in pair)
            for place, name in enumerate(names):
                vias[a, b, place] = vias[b, a, place] = self.sampler.leg_joints(name)
                via_leans[a, b, place] = via_leans[b, a, place] = np.deg2rad(LEG_POSTURES[name].lean)
        return jnp.asarray(vias), jnp.asarray(via_leans)

    def plan(self, key: Array, which: Int[Array, ""], *, speeds: str = "train", views: str = "train") -> Plan:
        """Draws how one instruction is to be carried out.

        Args:
          which: number of a feasible one of `INSTRUCTIONS`.
          speeds: one of `SPEEDS`; "free" as policies move, whose legs do something else meanwhile where they
            are told nothing.
          views: "train" or "held out".
        """
        keys = jax.random.split(key, 11)
        actions = jnp.asarray(self._actions)[which]
        pick = jax.random.randint(keys[0], (), 0, jnp.asarray(self._count)[which])
        course = jnp.asarray(self._courses)[which, pick]  # [3, 2]: legs, arms
        if speeds == "free":
            legs = self._free_legs(jax.random.fold_in(key, len(keys)), which, course[:, 0])
            course = course.at[:, 0].set(legs)
        arms = self._arm_keys(keys[1], course[:, 1])
        style = STYLE * jax.random.normal(keys[2], (4, arms.shape[-1]))
        joints = self._legs[course[:, 0]] + arms + style[0] + 0.5 * style[1:]
        lean = self._leans[course[:, 0]] + 0.04 * jax.random.normal(keys[3])
        turn = jnp.asarray(_TURN_SIGNS)[actions] * (actions >= 0)
        turn *= jnp.deg2rad(jax.random.uniform(keys[4], (2,), minval=TURNS[0], maxval=TURNS[1]))
        yaw = _first_yaw(keys[5], views) + jnp.concatenate([jnp.zeros(1), jnp.cumsum(turn)])
        via, via_lean = self._via(keys[6], course[:, 0], joints, lean, arms)
        start, seconds, end = _times(keys[7], actions[1] >= 0, speeds)
        sway = jnp.stack(
            [
                jax.random.uniform(keys[8], style[0].shape, maxval=2 * jnp.pi),
                SWAY * jax.random.normal(keys[9], style[0].shape),
            ]
        )
        bend = jnp.exp(jax.random.uniform(keys[10], (2,), minval=-0.35, maxval=0.35))
        return Plan(joints, lean, yaw, via, via_lean, start, seconds, end, bend, sway)

    def _free_legs(self, key: Array, which: Int[Array, ""], legs: Int[Array, "3"]) -> Int[Array, "3"]:
        """Steady legs after each action, where only arms are told something; half of them as before."""
        key_legs, key_stay = jax.random.split(key)
        drawn = jax.random.randint(key_legs, (2,), 0, len(STEADY))
        first = jnp.where(
            jax.random.bernoulli(key_stay, shape=(2,)), legs[0], jnp.asarray(_STEADY_LEGS)[drawn]
        )
        return jnp.where(jnp.asarray(_ARMS_ONLY)[which], legs.at[1:].set(first), legs)

    def _arm_keys(self, key: Array, arms: Int[Array, "3"]) -> Float[Array, "3 joints"]:
        """Arm joints of each stance: neutral ones of one kind, raised where told."""
        key_low, key_any = jax.random.split(key)
        moves = (arms != 0).any()
        low = jax.random.randint(key_low, (), 0, len(LOW_ARMS))
        neutral = jnp.where(moves, low, jax.random.randint(key_any, (), 0, len(NEUTRAL)))
        left = (arms == ARMS.index("left")) | (arms == ARMS.index("both"))
        right = (arms == ARMS.index("right")) | (arms == ARMS.index("both"))
        raised = jnp.where(self._is_left, left[:, None], right[:, None])
        return jnp.where(raised, self._raised, self._arms[neutral])

    def _via(
        self, key: Array, legs: Int[Array, "3"], joints: Array, lean: Array, arms: Array
    ) -> tuple[Array, Array]:
        """Halfway through each action: between a straight way and a named posture."""
        key_which, key_share = jax.random.split(key)
        pick = jax.random.randint(key_which, (2,), 0, 3)
        share = jax.random.uniform(key_share, (2,), minval=0.4, maxval=1.0)
        named = self._vias[legs[:-1], legs[1:], pick] + (arms[:-1] + arms[1:]) / 2
        named_lean = self._via_leans[legs[:-1], legs[1:], pick]
        straight, straight_lean = (joints[:-1] + joints[1:]) / 2, (lean[:-1] + lean[1:]) / 2
        moves = legs[:-1] != legs[1:]
        share = jnp.where(moves, share, 0.0)
        via = straight + share[:, None] * (named - straight)
        return via, straight_lean + share * (named_lean - straight_lean)

    def mask(self, plan: Plan) -> Bool[Array, "frames"]:
        """The frames before the trajectory is over."""
        return jnp.arange(self.frames) * self.seconds < plan.end

    def path(self, plan: Plan) -> Float[Array, "frames nq"]:
        """The kinematic trajectory: on the floor, its lower foot where it was; rests where it is over."""
        times = jnp.minimum(jnp.arange(self.frames) * self.seconds, plan.end)
        qpos, feet = jax.vmap(lambda t: self._posture(plan, t))(times)
        weight = jax.nn.softmax(-feet[:, :, 2] / 0.03, axis=-1)  # the foot that bears
        slide = (((weight[:-1] + weight[1:]) / 2)[..., None] * jnp.diff(feet[..., :2], axis=0)).sum(1)
        return qpos.at[1:, :2].add(-jnp.cumsum(slide, axis=0))

    def _posture(self, plan: Plan, time: Array) -> tuple[Float[Array, "nq"], Float[Array, "2 3"]]:
        """Coordinates and the feet's places at a time, the torso above the origin."""
        u = jnp.clip((time - plan.start) / plan.seconds, 0, 1) ** plan.bend
        s = u * u * (3 - 2 * u)
        stage = (time >= plan.start[1]).astype(jnp.int32)
        joints = _through(plan.joints, plan.via, s, stage)
        lean = _through(plan.lean[:, None], plan.via_lean[:, None], s, stage)[0]
        yaw = plan.yaw[stage] + (plan.yaw[stage + 1] - plan.yaw[stage]) * s[stage]
        joints += plan.sway[1] * jnp.sin(2.5 * time + plan.sway[0])
        joints += self._stepping(plan, s, stage)
        qpos = self.sampler.qpos(joints, lean, jnp.zeros(()), yaw, jnp.zeros(()))
        return qpos, self.env.kinematics(self.env.pose_at(qpos)).geom_xpos[self._feet]

    def _stepping(self, plan: Plan, s: Array, stage: Array) -> Float[Array, "joints"]:
        """A foot and then the other, while it turns."""
        turns = jnp.abs(plan.yaw[stage + 1] - plan.yaw[stage]) > 0.1
        lift = self._legs[LEGS.index("right leg up")] - self._legs[0]
        left = self._legs[LEGS.index("left leg up")] - self._legs[0]
        wave = jnp.sin(2 * jnp.pi * s[stage])
        return 0.35 * turns * (jnp.maximum(wave, 0) * lift + jnp.maximum(-wave, 0) * left)

    def roll(
        self, key: Array, path: Float[Array, "frames nq"], harness: Float[Array, "2"]
    ) -> Float[Array, "frames nq"]:
        """The same under physics: joints aim where the path goes.

        Args:
          path: what to follow; its first state is the start.
          harness: shares, 0 to 1, by which the torso's velocity and its turning are drawn to the path after
            every step, as a harness would: joints of limited strength alone seldom get up. 0: a free body.
        """
        state = self.env.reset(key)
        state = state._replace(data=state.data._replace(qpos=path[0]))

        def control(state, goal: Array):
            target = (2 * (goal[7:] - self._low) / (self._high - self._low) - 1)[self._order]
            data = self.env.step(state, target).data
            return state._replace(data=data._replace(qvel=_pulled(data.qpos, data.qvel, goal, harness)))

        def frame(state, ends):
            def step(carry, share: Array):
                return control(carry, ends[0] + share * (ends[1] - ends[0])), None

            shares = (jnp.arange(self.interval) + 1) / self.interval
            state, _ = jax.lax.scan(step, state, shares)
            return state, state.data.qpos

        _, qpos = jax.lax.scan(frame, state, (path[:-1], _same_side(path)))
        return jnp.concatenate([path[:1], qpos])


def half_hearted(plan: Plan, share: Float[Array, ""]) -> Plan:
    """The same, but nothing goes further from where it began than `share` of its way."""

    def less(value: Array, start: Array) -> Array:
        return start + share * (value - start)

    joints, lean, yaw = (less(x, x[0]) for x in (plan.joints, plan.lean, plan.yaw))
    via, via_lean = less(plan.via, plan.joints[0]), less(plan.via_lean, plan.lean[0])
    return plan._replace(joints=joints, lean=lean, yaw=yaw, via=via, via_lean=via_lean)


HARNESS = (0.0, 0.02, 0.05, 0.15)  # one of them, as `roll` takes it
PULL = 6.0  # 1/s, how fast a full harness would close a gap


def _pulled(qpos: Array, qvel: Array, goal: Array, harness: Float[Array, "2"]) -> Float[Array, "nv"]:
    """Velocities of the torso drawn towards the goal's place and orientation."""
    w, v = goal[3] * qpos[3] + goal[4:7] @ qpos[4:7], qpos[3] * goal[4:7] - goal[3] * qpos[4:7]
    v -= jnp.cross(qpos[4:7], goal[4:7])  # conj(q) goal: in the body's own axes, as MuJoCo's free joints turn
    wanted = PULL * jnp.concatenate([goal[:3] - qpos[:3], 2 * jnp.sign(w) * v])
    return qvel.at[:6].add(jnp.repeat(harness, 3) * (wanted - qvel[:6]))


def _same_side(path: Float[Array, "frames nq"]) -> Float[Array, "frames-1 nq"]:
    """All but the first, their quaternions on the side of the one before, so that between them is short."""
    sign = jnp.sign((path[1:, 3:7] * path[:-1, 3:7]).sum(-1, keepdims=True))
    return path[1:].at[:, 3:7].multiply(jnp.where(sign < 0, -1.0, 1.0))


def _through(keys: Array, via: Array, s: Array, stage: Array) -> Array:
    """The parabola through key, via and next key of the stage, at progress s of it."""
    a, m, b, x = keys[stage], via[stage], keys[stage + 1], s[stage]
    return a + (b - a) * x + (m - (a + b) / 2) * 4 * x * (1 - x)


def _first_yaw(key: Array, views: str) -> Float[Array, ""]:
    """Where the body faces at first, rad; the camera stands in the world's frame."""
    low, high = np.deg2rad(HELD_OUT_VIEWS)
    if views == "train":
        low, high = high, low + 2 * np.pi
    return jax.random.uniform(key, (), minval=low, maxval=high)


def _times(key: Array, two: Bool[Array, ""], speeds: str) -> tuple[Array, Array, Array]:
    """Start and length of each action, and the end of all; seconds."""
    keys = jax.random.split(key, 5)
    low, high = jnp.asarray(SPEEDS[speeds])[jax.random.randint(keys[0], (), 0, 2)]
    seconds = low + (high - low) * jax.random.uniform(keys[1], (2,))
    free = speeds == "free"
    rests = (FREE_BEFORE if free else BEFORE, BETWEEN, FREE_BEHIND if free else BEHIND, LINGER)
    before, between, behind, linger = (
        low + (high - low) * x
        for x, (low, high) in zip(jax.random.uniform(keys[2], (4,)), rests, strict=True)
    )
    early = jax.random.uniform(keys[3]) * 0.3  # of the lingering, before the action
    before = before + jnp.where(two, 0.0, early * linger)
    behind = behind + jnp.where(two, 0.0, (1 - early) * linger)
    second = before + seconds[0] + between
    end = jnp.where(two, second + seconds[1], before + seconds[0]) + behind
    # a second action that is not wanted would begin when all is over
    return jnp.stack([before, jnp.where(two, second, end + 1.0)]), seconds, end


def _course_table() -> tuple[Int[np.ndarray, "instructions most 3 2"], Int[np.ndarray, "instructions"]]:
    """Stances of every possible course as places in LEGS and ARMS, and how many there are."""
    found = [courses(instruction) for instruction in INSTRUCTIONS]
    table = np.zeros((len(found), max(map(len, found)), 3, 2), np.int32)
    for row, options in enumerate(found):
        for place, course in enumerate(options):
            table[row, place] = [(LEGS.index(s.legs), ARMS.index(s.arms)) for s in course]
    return table, np.array([len(options) for options in found], np.int32)


_STEADY_LEGS = np.array([LEGS.index(name) for name in STEADY])
_ARMS_ONLY = np.array([all(action.part == "arm" for action in instruction) for instruction in INSTRUCTIONS])
_TURN_SIGNS = np.array([{"left": 1.0, "right": -1.0}[a.side] if a.verb == "turn" else 0.0 for a in ACTIONS])
assert set(NEUTRAL) <= set(ARM_POSTURES)
