"""Tasks whose meaning is in their order: kneel down and get up again. A humanoid that is told an instruction.

The world remembers what `motion_truth` asks of a trajectory: which condition was met, in its turn. What it
remembers is the oracle's alone. The policy sees how much of the episode has passed, and no more of the past:
with the time, a way through the episode can be followed, whatever rewards it.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from envs.humanoid.env import Humanoid
from envs.humanoid.instructions import Instruction, Stance, courses
from envs.humanoid.motion_captions import wordings
from envs.humanoid.motion_truth import CONDITIONS, EARLY, TURN, Signs, ends, far_from, share_gone, signs_of
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
      began: whether each action's start was seen in its turn; `whole`: how far its end was when it was,
        in units of the bounds' slack; `least`: the turn towards its side when that was least since, rad.
      ended: whether the first action's end was seen.
      done: all is carried out, with this state for the last.
    """

    count: Int[Array, ""]
    heading: Float[Array, ""]
    turned: Float[Array, ""]
    began: Bool[Array, "actions"]
    whole: Float[Array, "actions"]
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
        began, whole, least = jnp.zeros(actions, bool), jnp.zeros(actions), jnp.full(actions, jnp.inf)
        return Past(jnp.int32(0), zero, zero, began, whole, least, no, no)

    def see(self, past: Past, seen: Signs) -> Past:
        """One more state."""
        step = (seen.heading - past.heading + jnp.pi) % (2 * jnp.pi) - jnp.pi
        turned = past.turned + jnp.where(past.count > 0, step, 0.0)
        early = past.count <= EARLY * (self.length - 1)
        ended, began, whole, least, done = past.ended, [], [], [], jnp.zeros((), bool)
        for action, (start, end) in enumerate(self._ends):
            begins = (early if action == 0 else ended) & seen.holds[start]
            began.append(past.began[action] | begins)
            whole.append(jnp.where(past.began[action], past.whole[action], far_from(seen.near[end])))
            here = self._turn[action] * turned
            least.append(jnp.where(began[-1], jnp.minimum(past.least[action], here), jnp.inf))
            enough = (self._turn[action] == 0) | (here - least[-1] >= TURN)
            # it ends after it began, in a later state
            done = past.began[action] & seen.holds[end] & enough
            ended = ended | done if action == 0 else ended
        began, whole, least = jnp.stack(began), jnp.stack(whole), jnp.stack(least)
        return Past(past.count + 1, seen.heading, turned, began, whole, least, ended, done)

    def share(self, action: int, past: Past, seen: Signs) -> Float[Array, ""]:
        """How much of an action is done, -1 to 1: its share of the way, and of its turn where it is one."""
        share = share_gone(seen.near[self._ends[action, 1]], past.whole[action], least=-1.0)
        if self._turn[action] != 0:
            turned = (self._turn[action] * past.turned - past.least[action]) / TURN
            share = share * jnp.clip(turned, 0.0, 1.0)
        return jnp.where(past.began[action], share, 0.0)


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
    action that is on the share of its way to its end, which rises evenly: one that rises with nearness alone
    left bodies on their knees that were to get up again. Who is farther from the end than where the action
    began, as one that fell on its way up, loses of the part before. Episodes start standing, with hanging
    arms, as trajectories do from which interfaces learn.

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
        last = CONDITIONS[ends(instruction[-1])[1]]
        super().__init__(name, goal, baseline, camera, last, control, episode_length, skin)
        self.observation_size += 1
        self._start = self._start.at[7:].add(Sampler(self).arm_joints("hanging"))

    def told(self, sentence: str) -> "OrderedHumanoid":
        """Unchanged: no sentence about a posture says in which order things happen."""
        return self

    def reset(self, key: Array) -> State:
        state = super().reset(key)
        return self._told(state, self.watch.begin(), self._signs(state))

    def step(self, state: State, action: Float[Array, "action"]) -> State:
        after = super().step(state._replace(data=state.data.physics), action)
        seen = self._signs(after)
        return self._told(after, self.watch.see(state.data.past, seen), seen)

    def _signs(self, state: State) -> Signs:
        return signs_of(self.measures(self.pose(state)), state.data.qpos)

    def _told(self, state: State, past: Past, seen: Signs) -> State:
        """A plain state with the past in its data, the time in what the policy sees, and a reward of both."""
        physics = state.data
        passed = (state.time / self.episode_length).astype(state.obs.dtype)
        return state._replace(
            data=Told(physics.qpos, physics.qvel, physics.warmstart, past),
            obs=jnp.append(state.obs, passed),
            reward=self._part(past, seen),
        )

    def _part(self, past: Past, seen: Signs) -> Float[Array, ""]:
        shares = [self.watch.share(action, past, seen) for action in range(len(self.watch.instruction))]
        if len(shares) == 1:
            return jnp.maximum(shares[0], 0.0)
        # the second action begins where it can, as a rule at once
        return jnp.where(past.ended, 0.5 + 0.5 * shares[1], 0.5 * jnp.maximum(shares[0], 0.0))

    def past(self, state: State) -> Bool[Array, ""]:
        """What `success` depends on: see `envs.types.is_ordered`."""
        return state.data.past.done

    def success(self, pose: Pose, past: Any = None) -> Bool[Array, ""]:
        """Whether all up to a state carries the instruction out; of a pose alone, whether it could end so."""
        return super().success(pose) if past is None else past
