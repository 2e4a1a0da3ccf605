"""The interface learns along: from the policy's own episodes, in the program that steps, draws and rewards.

A policy finds what pleases the reward and does not do what was said. An oracle sees which instructions an
episode so far carries out. Every `update_interface_every` iterations episodes are paired with one of those,
drawn at random, and set against what they are not: the goal where it was not reached, changed instructions,
and the episode spoiled in time. The loss is contrastive, or where the reward asks that of the right answers
(see `jaxrm.rewards.protocols`). Beside it the prefixes of all these episodes, those that carry out nothing
among them, are ranked by how far they came with the goal: a body that fell comes last (`train.progress`).
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from envs.humanoid.env import Humanoid
from envs.humanoid.instructions import INSTRUCTIONS
from envs.humanoid.motion_captions import wordings
from envs.humanoid.motion_truth import Signs, truth
from envs.types import Env
from jaxrm.models.interface import Interface
from jaxrm.rewards.likelihood import Trajectories
from jaxrm.rewards.likelihood_reward import LikelihoodReward
from jaxrm.rewards.protocols import told_apart
from train.films import Dataset
from train.interface_losses import Words, score_rows
from train.progress import DONE, draw_prefixes, lies, ranked, until
from train.spoil import change_instructions, spoil
from train.sums import AXIS, total
from train.trajectories import Batch

TEMPERATURE = 0.1
EPISODES = 8  # of each virtual shard, an update
WORDINGS = 4  # of each instruction
PREFIXES = 3  # of each episode, beside all of it
GOAL_FIRST = 3.0  # nats by which the goal is likelier to be drawn than another instruction carried out


class Learnt(NamedTuple):
    """What the reward learns."""

    interface: Interface
    adam: Any

    def put_into(self, reward: LikelihoodReward) -> LikelihoodReward:
        """The reward as it is now."""
        return dataclasses.replace(reward, interface=self.interface)


class Seen(NamedTuple):
    """Episodes so far, [n, ...]: what the tower and the oracle saw of each frame, of which state, and which
    frames are there."""

    embeddings: Float[Array, "n t d"]
    mask: Bool[Array, "n t"]
    signs: Signs
    qpos: Float[Array, "n t nq"]


class Wrong(NamedTuple):
    """A batch with one instruction each that is carried out, and what makes each pair wrong.

    Attributes:
      data: `which` of its batch is the instruction.
      said: the rows of the tails that say it, [b].
      others: rows that say something else, [b, r]; `spoiled`: the trajectories [b, q, t] in other orders.
      is_wrong: of the others and then the spoiled, which truly are, [b, r + q].
      weight: 0 for an episode that carries out nothing.
      ends: the last frame of each prefix that is ranked; behind the prefixes the whole.
      levels: how far they came with the goal; those that show nothing came least.
      goal: a row that says the goal, [].
    """

    data: Dataset
    said: Int[Array, "b"]
    others: Int[Array, "b r"]
    spoiled: Trajectories
    is_wrong: Bool[Array, "b r+q"]
    weight: Float[Array, "b"]
    ends: Int[Array, "b n"]
    levels: Float[Array, "b n"]
    goal: Int[Array, ""]


@dataclasses.dataclass(frozen=True)
class Learning:
    """How the interface learns; methods are pure.

    Attributes:
      goal: the number of the reward's instruction.
      every: iterations from one update to the next.
    """

    goal: int
    every: int
    learning_rate: float

    @property
    def optimizer(self) -> optax.GradientTransformation:
        return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(self.learning_rate))

    def begin(self, interface: Interface) -> Learnt:
        interface = jax.tree.map(jnp.copy, interface)
        return Learnt(interface, self.optimizer.init(interface))  # pyright: ignore[reportArgumentType]

    def update(self, words: Words, state: Learnt, seen: Seen, keys: Array) -> tuple[Learnt, Float[Array, ""]]:
        """One step on some of this device's worlds, the same number of each shard.

        Args:
          seen: leaves [shards, worlds, ...].
          keys: uint32 [shards, 2], consumed.

        Returns:
          What was learnt, and the loss, NaN where no episode has shown anything yet.
        """
        drawn = jax.vmap(lambda key, seen: draw(key, seen, words, self.goal))(keys, seen)
        count = total(drawn.weight, AXIS)
        shards = total(jnp.ones(len(keys)), AXIS)

        def share(interface: Interface) -> Array:
            pairs, order = jax.vmap(lambda one: losses(interface, words, one))(drawn)
            return jnp.sum(pairs * drawn.weight) / jnp.maximum(count, 1.0) + jnp.sum(order) / shards

        loss, slope = jax.value_and_grad(share)(state.interface)
        slope = jax.lax.psum(slope, AXIS)
        updates, adam = self.optimizer.update(slope, state.adam, state.interface)  # pyright: ignore
        after = Learnt(optax.apply_updates(state.interface, updates), adam)  # pyright: ignore
        taught = total(drawn.data.batch.mask, AXIS) > 0  # without, Adam's momentum would go on alone
        after = jax.tree.map(lambda new, old: jnp.where(taught, new, old), after, state)
        return after, jnp.where(taught, total(loss, AXIS), jnp.nan)


def draw(key: Array, seen: Seen, words: Words, goal: int) -> Wrong:
    """Some episodes of one shard, each with an instruction that it carries out."""
    keys = jax.random.split(key, 6)
    count = min(EPISODES, len(seen.mask))
    picks = jax.random.permutation(keys[0], len(seen.mask))[:count]
    seen = jax.tree.map(lambda x: x[picks], seen)
    done = jax.vmap(truth)(seen.signs, seen.mask)
    chance = jax.random.gumbel(keys[1], done.shape).at[:, goal].add(GOAL_FIRST)
    which = jnp.argmax(jnp.where(done, chance, -jnp.inf), axis=1).astype(jnp.int32)
    batch = Batch(seen.qpos, seen.mask, which, done, seen.signs, jnp.zeros(count, bool))
    data = Dataset(batch, seen.embeddings)
    worse = spoil(keys[2], data)
    changed, is_changed = change_instructions(keys[3], batch)
    numbers = jnp.concatenate([jnp.full((count, 1), goal), changed], axis=1)
    is_wrong = jnp.concatenate([~done[:, goal, None], is_changed, worse.wrong], axis=1)
    key_goal, *keys_ends = jax.random.split(jax.random.fold_in(key, 1), count + 1)
    ends, levels = jax.vmap(draw_prefixes, in_axes=(0, 0, 0, 0, None, None))(
        jnp.stack(keys_ends), seen.signs, seen.mask, lies(seen.qpos), jnp.int32(goal), PREFIXES
    )
    return Wrong(
        data,
        words.rows(keys[4], which),
        words.rows(keys[5], numbers),
        worse.trajectories,
        is_wrong,
        done.any(axis=1).astype(seen.embeddings.dtype),
        ends,
        levels,
        words.rows(key_goal, jnp.int32(goal)),
    )


def losses(interface: Interface, words: Words, drawn: Wrong) -> tuple[Float[Array, "b"], Float[Array, ""]]:
    """Of each episode: that its own pair scores above all that are wrong; of all of them: that prefixes score
    as they came with the goal. Where the tails ask: that every answer is right."""
    own, rest, prefixes = pair_scores(interface, words, drawn)
    wrong = drawn.is_wrong
    if words.tails.asks:
        false = jnp.sum(jnp.where(wrong, rest, 0.0), axis=1) / jnp.maximum(wrong.sum(axis=1), 1)
        return -(own + false) / 2, -prefixes.mean()
    order = ranked(prefixes.reshape(1, -1), drawn.levels.reshape(1, -1), TEMPERATURE)
    return told_apart(own, rest, wrong, TEMPERATURE), order


def pair_scores(
    interface: Interface, words: Words, drawn: Wrong
) -> tuple[Float[Array, "b"], Float[Array, "b r+q"], Float[Array, "b n"]]:
    """Log-likelihoods of each episode's own instruction; of the wrong pairs: of the others with it, of it
    with the spoiled; and of the goal after each prefix. Where the tails ask, of the right answer."""
    (b, r), q, n = drawn.others.shape, drawn.spoiled.mask.shape[1], drawn.ends.shape[1]
    goals = jnp.broadcast_to(drawn.goal, (b, n))
    rows = jnp.concatenate([drawn.said[:, None], drawn.others, goals], axis=1)
    still, mask = ~drawn.is_wrong, drawn.data.batch.mask
    right = jnp.concatenate([jnp.ones((b, 1), bool), still[:, :r], drawn.levels == DONE], axis=1)
    seen = jnp.concatenate([jnp.repeat(mask[:, None], 1 + r, axis=1), until(mask, drawn.ends)], axis=1)
    told = score_rows(interface, words, drawn.data.trajectories, rows, right, visible=seen)
    flat = jax.tree.map(lambda x: x.reshape(b * q, *x.shape[2:]), drawn.spoiled)
    again = jnp.repeat(drawn.said, q)[:, None]
    spoiled = score_rows(interface, words, flat, again, still[:, r:].reshape(-1, 1))
    rest = jnp.concatenate([told[:, 1 : 1 + r], spoiled.reshape(b, q)], axis=1)
    return told[:, 0], rest, told[:, 1 + r :]


def number_of(goal: str, env: Env) -> int:
    """The number of the instruction that a sentence says.

    Raises:
      ValueError: there is no oracle for this body, or for this sentence.
    """
    if not isinstance(env, Humanoid):
        raise ValueError(
            f"interfaces learn from what an oracle saw; {env.name!r} has none: leave out"
            " update_interface_every and keep_episodes"
        )
    found = [number for number, one in enumerate(INSTRUCTIONS) if goal in wordings(one)]
    if not found:
        raise ValueError(
            f"interfaces learn from an instruction that the oracle can judge, not {goal!r}:"
            f" say for example {wordings(INSTRUCTIONS[0])[0]!r}"
        )
    return found[0]
