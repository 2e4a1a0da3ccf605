"""Tasks whose meaning is in their order: kneel down and get up again. A humanoid that is told an instruction.

The world remembers what `motion_truth` asks of a trajectory: which condition was met, in its turn. What it
remembers is the oracle's alone. The policy sees how much of the episode has passed, and no more of the past:
with the time, a way through the episode can be followed, whatever rewards it.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from envs.criteria import degree
from envs.humanoid.env import Humanoid
from envs.humanoid.instructions import Instruction, Stance, courses
from envs.humanoid.measure import Measures
from envs.humanoid.motion_captions import wordings
from envs.humanoid.motion_truth import CONDITIONS, EARLY, TURN, Signs, ends, signs_of
from envs.humanoid.postures import Sampler
from envs.physics import Physics
from envs.types import State
from jaxrm.render import Camera
from jaxrm.types import Pose

START = Stance("standing", "down")


class Past(NamedTuple):
    """What was done in an episode up to a state, step by step; `motion_truth.carried_out` says the same of a
    whole trajectory.

    Attributes:
      count: states seen.
      heading: of the last one, rad; `turned`: about the vertical, since the first.
      began: whether each action's start was seen in its turn; `least`: the turn towards its side when that
        was least since, rad.
      ended: whether the first action's end was seen.
      done: all is carried out, with this state for the last.
    """

    count: Int[Array, ""]
    heading: Float[Array, ""]
    turned: Float[Array, ""]
    began: Bool[Array, "actions"]
    least: Float[Array, "actions"]
    ended: Bool[Array, ""]
    done: Bool[Array, ""]


class Watch:
    """Follows one instruction through an episode of `length` states."""

    def __init__(self, instruction: Instruction, length: int):
        names = tuple(CONDITIONS)
        self.instruction, self.length = instruction, length
        self._ends = np.array([[names.index(name) for name in ends(action)] for action in instruction])
        sides = [{"left": 1.0, "right": -1.0}[a.side] if a.verb == "turn" else 0.0 for a in instruction]
        self._turn = np.array(sides, np.float32)

    def begin(self) -> Past:
        """Nothing was seen."""
        zero, no = jnp.zeros(()), jnp.zeros((), bool)
        actions = len(self.instruction)
        return Past(jnp.int32(0), zero, zero, jnp.zeros(actions, bool), jnp.full(actions, jnp.inf), no, no)

    def see(self, past: Past, seen: Signs) -> Past:
        """One more state."""
        step = (seen.heading - past.heading + jnp.pi) % (2 * jnp.pi) - jnp.pi
        turned = past.turned + jnp.where(past.count > 0, step, 0.0)
        early = past.count <= EARLY * (self.length - 1)
        ended, began, least, done = past.ended, [], [], jnp.zeros((), bool)
        for action, (start, end) in enumerate(self._ends):
            begins = (early if action == 0 else ended) & seen.holds[start]
            began.append(past.began[action] | begins)
            here = self._turn[action] * turned
            least.append(jnp.where(began[-1], jnp.minimum(past.least[action], here), jnp.inf))
            enough = (self._turn[action] == 0) | (here - least[-1] >= TURN)
            # it ends after it began, in a later state
            done = past.began[action] & seen.holds[end] & enough
            ended = ended | done if action == 0 else ended
        began, least = jnp.stack(began), jnp.stack(least)
        return Past(past.count + 1, seen.heading, turned, began, least, ended, done)

    def share_turned(self, action: int, past: Past) -> Float[Array, ""]:
        """How much of its turn is done, 0 to 1; 1 for an action that is none."""
        if self._turn[action] == 0:
            return jnp.ones(())
        share = (self._turn[action] * past.turned - past.least[action]) / TURN
        return jnp.where(past.began[action], jnp.clip(share, 0.0, 1.0), 0.0)


class Told(NamedTuple):
    """`Physics`, and what was done so far."""

    qpos: Float[Array, "nq"]
    qvel: Float[Array, "nv"]
    warmstart: Float[Array, "nv"]
    past: Past

    @property
    def physics(self) -> Physics:
        return Physics(self.qpos, self.qvel, self.warmstart)


class OrderedHumanoid(Humanoid):
    """Success of an episode: its states, with the last one, carry out the instruction (`motion_truth`).

    The ground-truth reward is from 0 to 1: an equal part for each action that is done, and of the part of the
    action that is on, how near the body is to where it ends. Episodes start standing, with hanging arms, as
    trajectories do from which interfaces learn.

    Raises:
      ValueError: nobody can do the instruction from there.
    """

    def __init__(
        self,
        name: str,
        instruction: Instruction,
        baseline: str,
        camera: Camera,
        control: str,
        episode_length: int,
        skin: str = "robot",
    ):
        if START not in [course[0] for course in courses(instruction)]:
            raise ValueError(f"{wordings(instruction)[0]!r} cannot be done by a body that stands")
        # training of interfaces always has the plainest wording
        goal = wordings(instruction)[0]
        self.watch = Watch(instruction, episode_length)
        self._goals = [CONDITIONS[ends(action)[1]] for action in instruction]
        super().__init__(name, goal, baseline, camera, self._goals[-1], control, episode_length, skin)
        self.observation_size += 1
        self._start = self._start.at[7:].add(Sampler(self).arm_joints("hanging"))

    def told(self, sentence: str) -> "OrderedHumanoid":
        """Unchanged: no sentence about a posture says in which order things happen."""
        return self

    def reset(self, key: Array) -> State:
        state = super().reset(key)
        return self._told(state, self.watch.begin(), self.measures(self.pose(state)))

    def step(self, state: State, action: Float[Array, "action"]) -> State:
        after = super().step(state._replace(data=state.data.physics), action)
        measures = self.measures(self.pose(after))
        past = self.watch.see(state.data.past, signs_of(measures, after.data.qpos))
        return self._told(after, past, measures)

    def _told(self, state: State, past: Past, measures: Measures) -> State:
        """A plain state with the past in its data, the time in what the policy sees, and a reward of both."""
        physics = state.data
        passed = (state.time / self.episode_length).astype(state.obs.dtype)
        return state._replace(
            data=Told(physics.qpos, physics.qvel, physics.warmstart, past),
            obs=jnp.append(state.obs, passed),
            reward=self._part(measures, past),
        )

    def _part(self, measures: Measures, past: Past) -> Float[Array, ""]:
        near = [
            degree(bounds, measures) * self.watch.share_turned(action, past)
            for action, bounds in enumerate(self._goals)
        ]
        if len(near) == 1:
            return jnp.where(past.began[0], near[0], 0.0)
        # the second action begins where it can, as a rule at once
        second = jnp.where(past.began[1], near[1], 0.0)
        return jnp.where(past.ended, 0.5 + 0.5 * second, jnp.where(past.began[0], 0.5 * near[0], 0.0))

    def past(self, state: State) -> Bool[Array, ""]:
        """What `success` depends on: see `envs.types.is_ordered`."""
        return state.data.past.done

    def success(self, pose: Pose, past: Any = None) -> Bool[Array, ""]:
        """Whether all up to a state carries the instruction out; of a pose alone, whether it could end so."""
        return super().success(pose) if past is None else past
