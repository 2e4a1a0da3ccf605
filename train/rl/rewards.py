"""What judges the stored poses inside the loop: frozen weights, a state that learns, a pure score."""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, UInt32

from envs.drawn import Drawn
from envs.types import Env
from jaxrm.render import Camera
from jaxrm.rewards import clip
from jaxrm.types import Pose
from jaxrm.weights.clip import ClipCheckpoint
from train.rl.config import PolicyConfig

Score = Callable[[Env, Any, Any, Pose], Float[Array, "time envs"]]


class Looks(NamedTuple):
    """What a reward sees of an unroll: the judged steps, and where episodes begin and end among them.

    Attributes:
      poses: of the states that those steps reached, leaves [time, envs, ...].
      first: whether no judged step of the same episode lies before this one, in this unroll or an earlier.
      ended: whether the last step of the unroll ended its episode.
    """

    poses: Pose
    first: Bool[Array, "time envs"]
    ended: Bool[Array, "envs"]


class TrajectoryScore(NamedTuple):
    """A score of an episode so far. As an unroll is shorter than an episode, it remembers; all is pure.

    Attributes:
      begin: `begin(envs) -> memory`, leaves [envs, ...]: of worlds whose episodes have shown nothing yet.
      read: `read(weights, state, memory, looks) -> (scores [time, envs], memory)`.
      every: steps from one look to the next, wherever an episode is judged: the rate belongs to the score.
      between: what steps between two looks get, as `spread_scores` takes it; None: what the config says.
    """

    begin: Callable[[int], Any]
    read: Callable[[Any, Any, Any, Looks], tuple[Float[Array, "time envs"], Any]]
    every: int
    between: str | None = None


class Update(NamedTuple):
    """How a reward learns inside the loop; pure.

    Attributes:
      update: `update(weights, state, memory, keys [shards, 2]) -> (state, figures)`: of this device's worlds,
        as a sum over devices; `memory` is what `TrajectoryScore.read` gave last. Keys are consumed.
      every: iterations from one update to the next.
      figures: names of what it reports.
    """

    update: Callable[[Any, Any, Any, Array], tuple[Any, dict[str, Array]]]
    every: int
    figures: tuple[str, ...]


class LoopReward(NamedTuple):
    """A reward as the loop takes it.

    Attributes:
      name: for people and for `result.json`.
      weights: frozen pytree, an argument of the compiled program.
      state: what the reward learns; part of the training state. Empty where it learns nothing.
      score: of a frame, `score(env, weights, state, poses [time, envs]) -> [time, envs]`, pure; or of an
        episode so far; None means the environment's own ground-truth reward, which the unroll has stored.
      goals: the sentences; none for the ground truth of the task's own.
      updates: how it learns; None: it does not.
      keep: `keep(memory, file)` writes what running episodes have shown, leaves [shards, worlds, ...], on the
        host; None: it keeps nothing.
      save: `save(state, folder)` writes what it has learnt, likewise.
      own: where several tasks share a program, which leaves of `weights` every run has of its own,
        [runs, ...]; the others all share. Empty otherwise; see `join_rewards`.
    """

    name: str
    weights: Any
    state: Any
    score: Score | TrajectoryScore | None
    goals: tuple[str, ...]
    updates: Update | None = None
    keep: Callable[[Any, Path], None] | None = None
    save: Callable[[Any, Path], None] | None = None
    own: tuple[bool, ...] = ()

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of what learning reports."""
        return () if self.updates is None else self.updates.figures

    @property
    def stride(self) -> int:
        """Steps from one look to the next when whole episodes are judged; of single frames each is."""
        return self.score.every if isinstance(self.score, TrajectoryScore) else 1

    def begin(self, envs: int) -> Any:
        """What it remembers of worlds whose episodes have shown nothing yet, leaves [envs, ...]."""
        return self.score.begin(envs) if isinstance(self.score, TrajectoryScore) else ()

    @property
    def axes(self) -> Any:
        """Of `weights` under a `vmap` over runs: 0 for what is a run's own, None for what all share."""
        tree = jax.tree.structure(self.weights)
        return jax.tree.unflatten(tree, [0 if own else None for own in self.own]) if self.own else None

    def of_run(self, run: int) -> "LoopReward":
        """The reward of one run, by its place among all in the program."""
        if not self.own:
            return self
        leaves, tree = jax.tree.flatten(self.weights)
        mine = [leaf[run] if own else leaf for leaf, own in zip(leaves, self.own, strict=True)]
        return self._replace(weights=jax.tree.unflatten(tree, mine), own=())

    def read(
        self, env: Env, weights: Any, state: Any, memory: Any, looks: Looks
    ) -> tuple[Float[Array, "time envs"], Any]:
        """Scores of an unroll's judged steps, and what to remember for the next one; `env` draws frames."""
        if isinstance(self.score, TrajectoryScore):
            return self.score.read(weights, state, memory, looks)
        assert self.score is not None, "the ground truth is stored"
        return self.score(env, weights, state, looks.poses), memory

    def learn(
        self, weights: Any, state: Any, memory: Any, keys: UInt32[Array, "shards 2"], iteration: Array
    ) -> tuple[Any, dict[str, Array]]:
        """What it has learnt after an iteration, and figures: NaN where it was not the time to learn."""
        if self.updates is None:
            return state, {}
        update, every, names = self.updates

        def rest(state: Any) -> tuple[Any, dict[str, Array]]:
            return state, dict.fromkeys(names, jnp.full((), jnp.nan))

        now = (iteration + 1) % every == 0
        return jax.lax.cond(now, lambda state: update(weights, state, memory, keys), rest, state)

    def between(self, chosen: str) -> str:
        """What steps between two judged ones get, as `spread_scores` takes it; `chosen` was asked for."""
        own = self.score.between if isinstance(self.score, TrajectoryScore) else None
        return own or chosen


def join_rewards(rewards: Sequence[LoopReward], repeats: int) -> LoopReward:
    """Rewards of several tasks as one, each for `repeats` runs in a row: they differ in weights alone."""
    leaves = list(zip(*(jax.tree.leaves(reward.weights) for reward in rewards), strict=True))
    own = tuple(any(leaf is not same[0] for leaf in same) for same in leaves)
    joined = [
        jnp.repeat(jnp.stack(same), repeats, axis=0) if differ else same[0]
        for same, differ in zip(leaves, own, strict=True)
    ]
    return rewards[0]._replace(
        weights=jax.tree.unflatten(jax.tree.structure(rewards[0].weights), joined),
        goals=tuple(goal for reward in rewards for goal in reward.goals),
        own=own,
    )


def truth_reward() -> LoopReward:
    """The environment's own reward of every step."""
    return LoopReward("truth", (), (), None, ())


def clip_reward(
    config: PolicyConfig, env: Env, checkpoint: ClipCheckpoint, goals: tuple[str, ...] = ()
) -> LoopReward:
    """How much the frame of a pose looks like the goal sentences; without any, like that of the task."""
    goals = goals or (env.goal,)
    reward = clip.ClipReward.create(
        checkpoint,
        goal=goals,
        baseline=(config.baseline or env.baseline) if config.alpha > 0 else None,
        negatives=config.negatives,
        alpha=config.alpha,
        allow_unknown_words=config.allow_unknown_words,
    )
    looks_of(config, env)  # refuses what cannot be mirrored before anything is compiled
    settings = reward.settings
    size = config.frame_size or settings.images.size
    block = max(1, config.reward_batch // config.runs)  # runs are a batch axis of every block

    def score(env: Env, weights: Any, state: Any, poses: Pose) -> Array:
        def judge(env: Env, block: Pose) -> Array:
            with jax.default_matmul_precision("highest"):
                frames = jax.vmap(lambda pose: env.frame(pose, size, size))(block)
            return clip.score(weights, state, frames, settings)

        looks = looks_of(config, env)
        return in_blocks(lambda block: sum(judge(look, block) for look in looks) / len(looks), poses, block)

    return LoopReward(f"clip ({config.model})", reward.weights, clip.INITIAL_STATE, score, goals)


def looks_of(config: PolicyConfig, env: Env) -> tuple[Env, ...]:
    """The world as each camera shows it; raises as `from_other_side` does."""
    return (env, from_other_side(env)) if config.both_sides else (env,)


def from_other_side(env: Env) -> Env:
    """The same world, drawn from the mirror image of its camera.

    Raises:
      ValueError: the camera is one of the body's own file, or of an environment that draws by itself.
    """
    if not (isinstance(env, Drawn) and isinstance(env.camera, Camera)):
        raise ValueError(f"both_sides needs a camera that can be mirrored, which {env.name!r} has not")
    other = copy.copy(env)
    other.camera = env.camera.mirrored()
    return other


def scale_rewards(
    config: PolicyConfig, stats: Any, rewards: Float[Array, "*batch"], terminated: Bool[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """Shifted and scaled by what was seen so far, so that returns are of order 1; or as they are.

    A shift of every reward to come makes no policy better than another, unless episodes end at different
    times: where one terminated, its last reward carries the shift of all that will not come.
    """
    if not config.normalize_reward:
        return rewards
    scale = (1.0 - config.gamma) / jnp.maximum(stats.std, 1e-4)
    left = jnp.where(terminated, 1.0 / (1.0 - config.gamma), 1.0)  # discounted steps, this one included
    return ((rewards - stats.mean * left) * scale).astype(rewards.dtype)


def in_blocks(judge: Callable[[Any], Any], items: Any, block: int, axes: int | None = None) -> Any:
    """`judge` over items [*batch, ...], at most `block` at a time, so that memory is set by one number.

    Args:
      judge: items [n, ...] -> results [n, ...].
      items: poses, whose batch axes are those of `qpos` but the last; or frames, [*batch, h, w, 3]; or any
        tree whose leaves have as many batch `axes`.
    """
    if axes is None:
        axes = items.qpos.ndim - 1 if isinstance(items, Pose) else items.ndim - 3
    batch = jax.tree.leaves(items)[0].shape[:axes]
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[axes:]), items)
    judged = rows_in_blocks(judge, flat, block)
    return jax.tree.map(lambda x: x.reshape(*batch, *x.shape[1:]), judged)


def rows_in_blocks(judge: Callable[[Any], Any], rows: Any, block: int) -> Any:
    """The same over any tree of rows, leaves [n, ...]."""
    count = len(jax.tree.leaves(rows)[0])
    blocks = -(-count // block)
    size = -(-count // blocks)
    picks = jnp.minimum(jnp.arange(blocks * size), count - 1).reshape(blocks, size)
    judged = jax.lax.map(lambda pick: judge(jax.tree.map(lambda x: x[pick], rows)), picks)
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[:count], judged)


def rows_where(judge: Callable[[Any], Any], rows: Any, flags: Bool[Array, "n"], block: int) -> Any:
    """The same over the rows that are flagged alone; only as many blocks are judged as hold them. What it
    gives for other rows has no meaning."""
    count = len(flags)
    order = jnp.argsort(~flags)  # flagged ones first
    size = min(block, count)

    def on_block(number: Array, found: Any) -> Any:
        pick = order[jnp.minimum(number * size + jnp.arange(size), count - 1)]
        judged = judge(jax.tree.map(lambda x: x[pick], rows))
        return jax.tree.map(lambda whole, part: whole.at[pick].set(part), found, judged)

    shapes = jax.eval_shape(judge, jax.tree.map(lambda x: x[:size], rows))
    blank = jax.tree.map(lambda x: jnp.zeros((count, *x.shape[1:]), x.dtype), shapes)
    return jax.lax.fori_loop(0, -(-flags.sum() // size), on_block, blank)
