"""What passes between the compiled loop and a learner: the training state and an unroll that was judged.

The loop (`program.py`) steps worlds, draws, judges and counts; a learner acts and learns from what was
judged. PPO (`ppo.py`) and SAC (`sac.py`) are learners.
"""

from typing import Any, NamedTuple, Protocol

from brax.training.acme import running_statistics
from jaxtyping import Array, Bool, Float, UInt32

from envs.types import State
from jaxrm.types import Pose
from train.rl.networks import Actor
from train.rl.rollout import Transition
from train.rl.success import SuccessScore


class TrainState(NamedTuple):
    """Everything that training goes on from. `memory`, `worlds`, `last_score`, `reward_memory` and
    `keys` are [shards, ...].

    Attributes:
      params: of the networks; `params["policy"]` is what acts.
      opt_state: what only the learner's update needs.
      memory: the past that the learner keeps; nothing for PPO, the replay for SAC.
      obs_stats, reward_stats: mean and deviation of observations and rewards so far.
      reward_state: what the reward has learnt; nothing for CLIP.
      success: how the reward scores states in which the predicate holds.
      last_score: of each world's running episode, at the end of the last unroll; NaN where it has none.
      reward_memory: what the reward remembers of each world's running episode; nothing for CLIP.
    """

    params: Any
    opt_state: Any
    memory: Any
    obs_stats: running_statistics.RunningStatisticsState
    reward_stats: running_statistics.RunningStatisticsState
    reward_state: Any
    success: SuccessScore
    worlds: State
    last_score: Array
    reward_memory: Any
    keys: Array
    iteration: Array


class Experience(NamedTuple):
    """An unroll that was judged.

    Attributes:
      steps: what happened.
      scores: of the state that each step reached, as the reward gives them; 0 where not valid.
      valid: False for steps whose numbers mean nothing, and for those that no score belongs to.
    """

    steps: Transition
    scores: Float[Array, "time envs"]
    valid: Bool[Array, "time envs"]


class Learner(Protocol):
    """What acts and learns. All methods are pure; `figures` names what `learn` reports."""

    @property
    def figures(self) -> tuple[str, ...]: ...

    @property
    def actor(self) -> Actor: ...

    def init(self, key: Array) -> tuple[Any, Any]:
        """Parameters and optimiser state; `key` is consumed."""
        ...

    def init_memory(self, obs: Any, pose: Pose) -> Any:
        """An empty memory, [shards, ...]; the arguments give shapes and dtypes of one world's."""
        ...

    def explore(
        self, state: TrainState, obs: Float[Array, "envs obs"], noise: Float[Array, "envs action"]
    ) -> tuple[Float[Array, "envs action"], Any]:
        """Actions in [-1, 1], and what to keep of them as `Transition.taken`; `noise` is standard normal."""
        ...

    def learn(
        self, state: TrainState, experience: Experience, keys: UInt32[Array, "shards 2"]
    ) -> tuple[Any, Any, Any, dict[str, Array]]:
        """Parameters, optimiser state, memory and figures after this device's unroll; keys are consumed."""
        ...


def split_shards(x: Array, shards: int) -> Array:
    """[time, shards x worlds, ...] -> [shards, time x worlds, ...]."""
    x = x.reshape(x.shape[0], shards, -1, *x.shape[2:])
    return x.swapaxes(0, 1).reshape(shards, -1, *x.shape[3:])
