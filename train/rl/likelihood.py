"""The likelihood reward in the loop: how probable the instruction is after every frame of an episode.

An unroll is shorter than an episode, so a world carries what the vision tower said about the frames of its
episode: none is drawn or embedded twice, and what is carried does not go stale where the interface learns.
Every unroll the interface and the decoder read the carried vectors at once, then the new ones one by one,
forgetting where an episode ends. A world's memory is frames x width x 4 bytes (20 frames of 256 numbers:
20 KB), whatever the resolution and however long the run.

With `likelihood_start` an episode's film begins with the state that it starts from, as films do from which
interfaces learn; without, by the first look a policy may have its arms up, and the film does not show that it
raised them.

SAC's replay keeps poses and no frames, and the reward of a transition depends on what came before it: the
reward is the number that was computed when the transition was collected.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

import jaxrm
from envs.humanoid.env import Humanoid
from envs.humanoid.motion_truth import Signs, signs_of
from envs.types import Env
from jaxrm.models.context import Context
from jaxrm.models.interface import Interface
from jaxrm.rewards.likelihood import (
    LikelihoodWeights,
    Trajectories,
    check_fit,
    differences,
    log_probs_behind,
    score,
    sum_scored,
)
from jaxrm.rewards.likelihood_reward import LikelihoodReward, encode_frames
from jaxrm.types import Pose
from jaxrm.weights.embed import run
from train.films import episodes
from train.interface.losses import frozen_lm
from train.rl.config import PolicyConfig
from train.rl.likelihood_update import Learning, Learnt, Lesson, Seen, number_of
from train.rl.rewards import (
    Looks,
    LoopReward,
    TrajectoryScore,
    Update,
    in_blocks,
    rows_in_blocks,
    rows_where,
)

STARTS = 32  # of episodes, drawn at a time: in an unroll few begin


class LoopWeights(NamedTuple):
    """What the reward takes as an argument.

    Attributes:
      reward: tower, decoder, prompt, and the interface that a run begins with.
      lesson: what the interface learns from beside episodes; None where it does not learn.
    """

    reward: LikelihoodReward
    lesson: Lesson | None


class Prefix(NamedTuple):
    """What a world's running episode has shown so far; leaves [worlds, ...].

    Attributes:
      embeddings: of its frames in order, zeros behind them.
      signs: what an oracle saw of each frame, and the state, leaves [worlds, frames, ...]; nothing where it
        is not asked.
      count: how many there are.
      value: the score of what was shown; without meaning while `count` is 0.
      over: the episode has ended, and all this is forgotten when the next one is looked at.
    """

    embeddings: Float[Array, "worlds frames d"]
    signs: Any
    count: Int[Array, "worlds"]
    value: Float[Array, "worlds"]
    over: Bool[Array, "worlds"]

    @property
    def mask(self) -> Bool[Array, "worlds frames"]:
        return jnp.arange(self.embeddings.shape[1]) < self.count[:, None]

    def but(self, over: Bool[Array, "worlds"]) -> "Prefix":
        """Nothing, where an episode is over."""
        kept = jnp.where(over[:, None, None], 0.0, self.embeddings)
        return self._replace(embeddings=kept, count=jnp.where(over, 0, self.count))

    def put(self, frame: Any, real: Bool[Array, "worlds"]) -> "Prefix":
        """With one more frame where it is real, its embedding and signs."""
        rows = jnp.arange(len(self.count))
        places = jnp.where(real, self.count, self.embeddings.shape[1])  # behind the last: dropped
        embeddings, signs = jax.tree.map(
            lambda kept, new: kept.at[rows, places].set(new, mode="drop"),
            (self.embeddings, self.signs),
            frame,
        )
        return self._replace(embeddings=embeddings, signs=signs, count=self.count + real)


@dataclasses.dataclass(frozen=True)
class Reader:
    """The reward of a run as a `TrajectoryScore`; its methods are pure.

    Attributes:
      frames: that an episode gives at most.
      width: numbers that the tower says about a frame.
      block: frames drawn, and worlds read, at a time.
      discount: of the time from one frame to the next, to score differences; None: prefixes themselves.
      starts: the state that an episode starts from is among them.
      learning: how the interface learns along; None: it does not.
      watched: an oracle looks at each frame too.
    """

    env: Env
    frames: int
    width: int
    block: int
    discount: float | None
    starts: bool = False
    learning: Learning | None = None
    watched: bool = False

    def begin(self, worlds: int) -> Prefix:
        signs = ()
        if self.watched:
            pose = self.env.pose_at(self.env.mj_model.qpos0)
            signs = jax.tree.map(
                lambda x: jnp.zeros((worlds, self.frames, *x.shape), x.dtype),
                jax.eval_shape(self._signs, pose),
            )
        return Prefix(
            embeddings=jnp.zeros((worlds, self.frames, self.width)),
            signs=signs,
            count=jnp.zeros(worlds, jnp.int32),
            value=jnp.zeros(worlds),
            over=jnp.zeros(worlds, bool),
        )

    def read(
        self, weights: LoopWeights, state: Any, memory: Prefix, looks: Looks
    ) -> tuple[Float[Array, "time worlds"], Prefix]:
        """See `TrajectoryScore.read`."""
        reward = weights.reward if self.learning is None else state.put_into(weights.reward)
        memory = memory.but(memory.over)
        first = looks.first.at[0].set(looks.first[0] | (memory.count == 0))
        poses, first = jax.tree.map(lambda x: x.swapaxes(0, 1), (looks.poses, first))
        starts = self.look_at_starts(reward, poses, first) if self.starts else None
        frames, signs = self.look(reward, poses)
        if self.watched and not self.starts:
            signs = self._begun(signs, poses, first)

        def on_rows(rows: tuple[Prefix, Any, Any, Array]) -> tuple[Array, Prefix]:
            return read_on(reward.weights, reward.interface, *rows)

        values, after = rows_in_blocks(on_rows, (memory, starts, (frames, signs), first), self.block)
        after = after._replace(over=looks.ended)
        if self.discount is None:
            values = probability(values, reward.weights.tails.asks)
        else:
            values = self._differences(reward, memory, values, starts and starts[0], first)
        return values.T, after

    def look(self, reward: LikelihoodReward, poses: Pose) -> tuple[Float[Array, "worlds time d"], Any]:
        """Draws each pose once, at the tower's own size, and asks the oracle where there is one."""
        return in_blocks(partial(self._look, reward), poses, self.block)

    def look_at_starts(
        self, reward: LikelihoodReward, poses: Pose, first: Bool[Array, "worlds time"]
    ) -> tuple[Float[Array, "worlds time d"], Any]:
        """The same of the states from which the poses' episodes started, where a pose is the first of its
        own; few are, and elsewhere this has no meaning."""

        return self._of_starts(partial(self._look, reward), poses, first)

    def _begun(
        self, seen: tuple[Signs, Array], poses: Pose, first: Bool[Array, "worlds time"]
    ) -> tuple[Signs, Array]:
        """What the oracle saw, and at the first look at an episode what held where it started, too: the film
        does not show that, but what a body does from there is done."""

        def on_block(starts: Pose) -> Signs:
            return jax.vmap(self._signs)(starts)[0]

        signs, qpos = seen
        starts, first = self._of_starts(on_block, poses, first), first[..., None]
        holds = jnp.where(first, signs.holds | starts.holds, signs.holds)
        near = jnp.where(first, jnp.maximum(signs.near, starts.near), signs.near)
        return signs._replace(holds=holds, near=near), qpos

    def _of_starts(self, judge: Callable[[Pose], Any], poses: Pose, first: Bool[Array, "worlds time"]) -> Any:
        def on_block(keys: Array) -> Any:
            with jax.default_matmul_precision("highest"):
                return judge(jax.vmap(lambda key: self.env.pose(self.env.reset(key)))(keys))

        keys = poses.key.reshape(first.size, -1)
        found = rows_where(on_block, keys, first.reshape(-1), min(self.block, STARTS))
        return jax.tree.map(lambda x: x.reshape(*first.shape, *x.shape[1:]), found)

    def _look(self, reward: LikelihoodReward, poses: Pose) -> tuple[Float[Array, "n d"], Any]:
        size = reward.images.size
        with jax.default_matmul_precision("highest"):
            frames = jax.vmap(lambda pose: self.env.frame(pose, size, size))(poses)
            signs = jax.vmap(self._signs)(poses) if self.watched else ()
        return run(encode_frames, reward.vision, frames, reward.images), signs

    def _signs(self, pose: Pose) -> tuple[Signs, Float[Array, "nq"]]:
        assert isinstance(self.env, Humanoid)
        return signs_of(self.env.measures(pose), pose.qpos), pose.qpos

    def _differences(
        self, reward: LikelihoodReward, memory: Prefix, values: Array, starts: Array | None, first: Array
    ) -> Float[Array, "worlds time"]:
        """Of each prefix to the one before, which at the beginning of an episode is its start alone, or none
        at all."""
        assert self.discount is not None
        if starts is None:
            alone = Trajectories(jnp.zeros((1, 1, self.width)), jnp.zeros((1, 1), bool))
            start = score(reward.weights, reward.interface, alone)[0]
        else:
            alone = Trajectories(starts.reshape(first.size, 1, -1), jnp.ones((first.size, 1), bool))
            start = score(reward.weights, reward.interface, alone).reshape(first.shape)
        before = jnp.concatenate([memory.value[:, None], values[:, :-1]], axis=1)
        before = jnp.where(first, start, before)
        return differences(values[..., None], before, self.discount)[..., 0]

    def update(
        self, weights: LoopWeights, state: Learnt, memory: Prefix, keys: Array
    ) -> tuple[Learnt, dict[str, Array]]:
        """See `train.rl.rewards.Update`."""
        assert self.learning is not None and weights.lesson is not None
        shards = len(keys)
        seen = Seen(memory.embeddings, memory.mask, *memory.signs)
        seen = jax.tree.map(lambda x: x.reshape(shards, -1, *x.shape[1:]), seen)
        state, loss = self.learning.update(weights.lesson, state, seen, keys)
        return state, {"interface_loss": loss}


def read_on(
    weights: LikelihoodWeights,
    interface: Interface,
    memory: Prefix,
    starts: tuple[Float[Array, "b n d"], Any] | None,
    frames: tuple[Float[Array, "b n d"], Any],
    first: Bool[Array, "b n"],
) -> tuple[Float[Array, "b n"], Prefix]:
    """Scores after each of n more frames, with all of its episode before it; and what to carry. Pure.

    Args:
      starts: what stands before each frame that is the first look at its episode; None: nothing.
      frames: their embeddings, and signs where there are any, leaves [b, n, ...].
      first: of its episode.
    """
    lm, before, tails = weights
    b, n = first.shape
    p, t = len(before), memory.embeddings.shape[1]
    prompt = jnp.broadcast_to(lm.embed(before), (b, p, lm.config.blocks.width))
    slots = t + n * (1 if starts is None else 2)  # a first look brings two frames
    seen, eyes = interface.remember(memory.embeddings, memory.mask, slots)
    real = jnp.concatenate([jnp.ones((b, p), bool), memory.mask], axis=1)
    _, words = lm.remember(jnp.concatenate([prompt, seen.astype(prompt.dtype)], axis=1), real, p + slots)
    rows = tails[None] if tails.asks else tails[None, None]

    def on_look(carry: tuple[Prefix, Context, Context], new: tuple[Any, Any, Array]) -> tuple[Any, Array]:
        shown, eyes, words = carry
        start, frame, first = new
        shown, eyes, words = shown.but(first), _forget(eyes, first, 0), _forget(words, first, p)
        brought = [(frame, jnp.ones_like(first))]  # and of which worlds it is
        if start is not None:
            brought.insert(0, (start, first))
        for more, real in brought:
            shown = shown.put(more, real)
        vectors = jnp.stack([more[0] for more, _ in brought], axis=1)
        real = jnp.stack([real for _, real in brought], axis=1)
        seen, eyes = interface.extend(eyes, vectors, real)
        hidden, words = lm.extend(words, seen.astype(prompt.dtype), real)
        last = jnp.broadcast_to(hidden[:, -1:], (b, rows.tokens.shape[1], hidden.shape[-1]))
        found = sum_scored(log_probs_behind(lm, words, last, rows), rows)
        value = found[:, 0] - found[:, 1] if tails.asks else found[:, 0]
        shown = shown._replace(value=value.astype(memory.value.dtype))
        return (shown, eyes, words), shown.value

    in_time = jax.tree.map(lambda x: x.swapaxes(0, 1), (starts, frames, first))
    (memory, _, _), values = jax.lax.scan(on_look, (memory, eyes, words), in_time)
    return values.T, memory


def probability(score: Array, asks: bool) -> Array:
    """Of a token of the instruction, their geometric mean; or that it was carried out, where that is asked.

    Policies are paid in probabilities: the logarithm rises most where hardly anything is done yet, and little
    of it is between almost done and done."""
    return jax.nn.sigmoid(score) if asks else jnp.exp(score)


def _forget(context: Context, over: Bool[Array, "b"], kept: int) -> Context:
    """All but the first `kept` slots, in some rows."""
    slots = jnp.arange(context.slots) < kept
    return context._replace(mask=context.mask & (slots | ~over[:, None]))


def make(config: PolicyConfig, env: Env) -> LoopReward:
    """The reward that a config asks for.

    Raises:
      FileNotFoundError: there is no such model.
      ValueError: the models do not belong together, or an episode and the sentence are too long for the
        decoder.
    """
    frames = frames_of_episode(config, env)
    (goal,) = config.goals or (env.goal,)
    lm = frozen_lm(config.lm, config.lm_dtype)
    reward = LikelihoodReward.create(
        jaxrm.load_clip(config.model),
        lm,
        jaxrm.load_interface(config.interface),
        instruction=goal,
        form=config.likelihood_form,
        allow_unknown_words=config.allow_unknown_words,
    )
    check_frames_fit(reward, frames)
    watched = bool(config.update_interface_every or config.keep_episodes)
    number = number_of(goal, env) if watched else 0
    lesson, learning = None, None
    if config.update_interface_every:
        lesson = Lesson.of(config, lm, number)
        learning = Learning(number, config.update_interface_every, config.interface_learning_rate)
    reader = Reader(
        env,
        frames,
        reward.interface.config.inputs,
        max(1, config.reward_batch // config.runs),  # runs are a batch axis of every block
        config.gamma**config.reward_every if config.likelihood_difference else None,
        config.likelihood_start,
        learning,
        watched,
    )
    between = "zero" if config.likelihood_difference else None
    models = f"{config.model}, {config.interface}, {config.lm}"
    made = LoopReward(
        f"likelihood ({config.likelihood_form}; {models}; {frames} frames an episode)",
        LoopWeights(reward, lesson),
        (),
        TrajectoryScore(reader.begin, reader.read, config.reward_every, between),
        (goal,),
    )
    if config.keep_episodes:
        keep = episodes.keeper(config.model, config.keep_episodes, config.iterations, number)
        made = made._replace(keep=keep)
    if learning is None:
        return made
    update = Update(reader.update, learning.every, ("interface_loss",))
    return made._replace(state=learning.begin(reward.interface), updates=update, save=_save)


def _save(state: Learnt, folder: Path) -> None:
    """The interface, as `jaxrm.load_interface` takes it."""
    jaxrm.save_interface(state.interface, folder)


def frames_of_episode(config: PolicyConfig, env: Env) -> int:
    """How many frames an episode gives.

    Raises:
      ValueError: frames do not end with the episode, or there are too many.
    """
    length, every, most = env.episode_length, config.reward_every, config.likelihood_frames
    if length % every:
        raise ValueError(
            f"reward_every {every} does not divide the {length} steps of an episode, whose end is to be seen"
        )
    more = int(config.likelihood_start)
    frames = length // every + more
    if frames > most:
        fits = [k for k in range(1, length + 1) if not length % k and length // k + more <= most]
        fits = [k for k in fits if not config.unroll_length % k]
        hint = f"take --reward-every {fits[0]}" if fits else "give more steps an unroll, or"
        raise ValueError(
            f"an episode of {length} steps, looked at every {every}, gives {frames} frames, above"
            f" likelihood_frames {most}: {hint}"
        )
    return frames


def check_frames_fit(reward: LikelihoodReward, frames: int) -> None:
    """Raises ValueError where prompt, all frames of an episode and the words behind them are too much."""
    lm, before, tails = reward.weights
    check_fit(lm, reward.interface, len(before), frames, tails.tokens.shape[-1])
