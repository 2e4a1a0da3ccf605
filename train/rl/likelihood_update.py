"""The interface learns along: from the policy's own episodes, in the program that steps, draws and rewards.

A policy finds what pleases the reward and does not do what was said. Every `update_interface_every`
iterations its running episodes take the place that films of bodies that fail have in `python -m train
interface`, with that training's own loss: films that do what they are told score above those episodes, whose
prefixes are ranked with theirs by how far they came; an episode that reached the goal is right itself, and
what spoils it is wrong. The films are an anchor: from these episodes alone an interface unlearns what its
training told apart, for at first hardly any of them carries out anything.
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
from jaxrm.rewards.likelihood_reward import LikelihoodReward
from jaxrm.rewards.prompts import AROUND
from jaxrm.weights import DecoderCheckpoint
from train.films.films import Dataset
from train.films.trajectories import Batch
from train.interface.config import TrainingConfig
from train.interface.data import make_some
from train.interface.losses import NEVER, Pairs, Words, draw_pairs, loss_of_scores, score_pairs
from train.rl.config import PolicyConfig
from train.sums import AXIS, total, totals

WORDINGS = 4  # of each instruction
ROWS = 4  # films of each virtual shard, an update: two of any instruction, one of the goal, an own one
SELDOM = -1e3  # logit of what is drawn only where all else is `NEVER`
RECIPE = TrainingConfig()  # whose negatives and temperature these are


class Learnt(NamedTuple):
    """What the reward learns."""

    interface: Interface
    adam: Any

    def put_into(self, reward: LikelihoodReward) -> LikelihoodReward:
        """The reward as it is now."""
        return dataclasses.replace(reward, interface=self.interface)


class Lesson(NamedTuple):
    """What the interface learns from beside the policy's episodes.

    Attributes:
      words: the sentences that are told apart.
      films: that did what they were told, some of them the goal.
    """

    words: Words
    films: Dataset

    @classmethod
    def of(cls, config: PolicyConfig, lm: DecoderCheckpoint, goal: int) -> "Lesson":
        """What a config asks for; films are made here, from its seed."""
        protocol = "success" if config.likelihood_form == "ask" else "contrastive"
        films = make_some(str(config.model), goal, config.interface_films, config.seed)
        return cls(Words.of(lm, protocol, WORDINGS), films)


class Seen(NamedTuple):
    """Episodes so far, [n, ...]: what the tower and the oracle saw of each frame, of which state, and which
    frames are there."""

    embeddings: Float[Array, "n t d"]
    mask: Bool[Array, "n t"]
    signs: Signs
    qpos: Float[Array, "n t nq"]

    def told(self, goal: int) -> Dataset:
        """As films that were to reach the goal."""
        count = len(self.mask)
        done = jax.vmap(truth)(self.signs, self.mask)
        which = jnp.full(count, goal, jnp.int32)
        batch = Batch(self.qpos, self.mask, which, done, self.signs, jnp.ones(count, bool))
        return Dataset(batch, self.embeddings)


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

    def update(
        self, lesson: Lesson, state: Learnt, seen: Seen, keys: Array
    ) -> tuple[Learnt, Float[Array, ""]]:
        """One step on some films and some of this device's worlds, the same number of each shard.

        Args:
          seen: leaves [shards, worlds, ...].
          keys: uint32 [shards, 2], consumed.

        Returns:
          What was learnt, and the loss.
        """
        pairs = jax.vmap(lambda key, seen: draw(key, lesson, seen.told(self.goal), self.goal))(keys, seen)
        shards = total(jnp.ones(len(keys)), AXIS)
        protocol = "success" if lesson.words.tails.asks else "contrastive"

        def share(interface: Interface) -> Array:
            def one(pairs: Pairs) -> Array:
                scores = score_pairs(interface, lesson.words, pairs)
                return loss_of_scores(protocol, pairs, scores, RECIPE.temperature)

            return jax.vmap(one)(pairs).sum() / shards

        loss, slope = jax.value_and_grad(share)(state.interface)
        slope = totals(slope, AXIS)
        updates, adam = self.optimizer.update(slope, state.adam, state.interface)  # pyright: ignore
        return Learnt(optax.apply_updates(state.interface, updates), adam), total(loss, AXIS)  # pyright: ignore


def draw(key: Array, lesson: Lesson, episodes: Dataset, goal: int) -> Pairs:
    """Pairs of `ROWS` films and own episodes of one shard, of whose other episodes some are set against
    each."""
    key_rows, key_pairs = jax.random.split(key)
    frames = max(data.embeddings.shape[1] for data in (lesson.films, episodes))
    films, episodes = lesson.films.lengthened(frames), episodes.lengthened(frames)
    rows = jax.random.categorical(key_rows, row_logits(films, episodes, goal))
    return draw_pairs(key_pairs, pick(rows, films, episodes), lesson.words, RECIPE.negatives, episodes)


def pick(rows: Int[Array, "rows"], films: Dataset, episodes: Dataset) -> Dataset:
    """Rows of films and of the episodes behind them; joined whole, every shard would copy the films."""
    count = len(films.batch.mask)

    def either(film: Array, own: Array) -> Array:
        is_film = (rows < count).reshape(-1, *[1] * (own.ndim - 1))
        return jnp.where(is_film, film.astype(own.dtype), own)

    chosen = films[jnp.minimum(rows, count - 1)], episodes[jnp.maximum(rows - count, 0)]
    return jax.tree.map(either, *chosen)


def row_logits(films: Dataset, episodes: Dataset, goal: int) -> Float[Array, "rows n"]:
    """Of which films, and behind them episodes, a row may be: the last of an episode that reached the goal
    if there is any, else of a film that shows it."""
    shows, none = films.batch.which == goal, jnp.full(len(episodes.embeddings), NEVER)
    any_film = jnp.concatenate([jnp.zeros(len(shows)), none])
    of_goal = jnp.concatenate([jnp.where(shows, 0.0, NEVER), none])
    instead, reached = jnp.where(shows, SELDOM, NEVER), jnp.where(episodes.batch.done, 0.0, NEVER)
    return jnp.stack([*[any_film] * (ROWS - 2), of_goal, jnp.concatenate([instead, reached])])


def numbers_of(goal: str) -> list[int]:
    """The numbers of the instructions that a sentence may say, with or without a full stop, large letters or
    small; none where it says another thing."""
    said = goal.strip(AROUND).lower()
    return [number for number, one in enumerate(INSTRUCTIONS) if said in wordings(one)]


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
    found = numbers_of(goal)
    if not found:
        raise ValueError(
            f"interfaces learn from an instruction that the oracle can judge, not {goal!r}:"
            f" say for example {wordings(INSTRUCTIONS[0])[0]!r}"
        )
    return found[0]
