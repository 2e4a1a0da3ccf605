"""Trajectories with instructions, made on the accelerator; no files. `films.py` draws and embeds them.

Another source plugs in by giving `Batch`es: states, which frames count, and an oracle's truth.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from envs.humanoid.instructions import INSTRUCTIONS, feasible, held_out
from envs.humanoid.motion_truth import Signs, signs, truth
from envs.humanoid.motions import HARNESS, Motions, half_hearted

SINGLES = 0.3  # share of single actions among what is asked for
SPLITS = ("train", "speeds", "views", "combinations")  # what is held out, one at a time; wordings come later
FAILING = "failing"  # films of bodies that do not do what they are told; a split of its own
FREE = "free"  # films of bodies that move as policies do; likewise
HALF_HEARTED = (0.25, 0.9)  # share of their way that they go
WHOLE = 0.5  # share of films that go all of it
CLUMSY = (0.2, 1.2)  # rad: by how much joints of a clumsy part miss under physics, till the body falls
CLUMSY_PARTS = 0.6  # share of parts that are clumsy: legs with the trunk, and each arm


class Batch(NamedTuple):
    """Trajectories.

    Attributes:
      qpos: states, one a frame.
      mask: which frames count.
      which: number of the instruction that each was to carry out, in `INSTRUCTIONS`.
      truth: which instructions it does carry out, as the oracle sees it.
      signs: what the oracle looks at; see `motion_truth`.
      physics: made under physics, not by interpolation.
    """

    qpos: Float[Array, "b t nq"]
    mask: Bool[Array, "b t"]
    which: Int[Array, "b"]
    truth: Bool[Array, "b instructions"]
    signs: Signs
    physics: Bool[Array, "b"]

    @property
    def done(self) -> Bool[Array, "b"]:
        """Whether each did what it was to do: bodies under physics may fail."""
        return jnp.take_along_axis(self.truth, self.which[:, None], axis=1)[:, 0]

    @property
    def same(self) -> Bool[Array, "b b"]:
        """[i, j]: trajectory i does what instruction j says, as `protocols.contrastive` takes it."""
        return self.truth[:, self.which]


def draw_instructions(
    key: Array, count: int, split: str = "train", among: tuple[int, ...] = ()
) -> Int[Array, "count"]:
    """Numbers of instructions that a body can carry out; of "combinations" those held out, else the others.

    Args:
      among: those to draw from, each as often; without, from all of the split.

    Raises:
      ValueError: another split.
    """
    check_split(split)
    if among:
        return jax.random.choice(key, jnp.array(among, jnp.int32), (count,))
    numbers = np.flatnonzero(feasible() & (held_out() == (split == "combinations")))
    single = np.array([len(INSTRUCTIONS[number]) == 1 for number in numbers])
    share = SINGLES if single.any() else 0.0
    weight = np.where(single, share / max(single.sum(), 1), (1 - share) / (~single).sum())
    return jax.random.choice(key, jnp.asarray(numbers), (count,), p=jnp.asarray(weight))


def make(motions: Motions, key: Array, count: int, split: str = "train") -> Batch:
    """`count` trajectories, the second half of them under physics. Pure; compile it.

    Args:
      split: one of `SPLITS`, `FAILING` or `FREE`.

    Raises:
      ValueError: another split, or a count below 2.
    """
    key_plan, key_do = jax.random.split(key)
    return carry_out(motions, key_do, plan(motions, key_plan, count, split))


class Planned(NamedTuple):
    """Kinematic trajectories.

    Attributes:
      qpos: states.
      mask: which frames count.
      which: number of what each is to carry out.
      clumsy: rad, by how much each joint misses under physics, half of it all the time, half from frame to
        frame; where any does, a harness keeps the body upright at most, and not up.
    """

    qpos: Float[Array, "b t nq"]
    mask: Bool[Array, "b t"]
    which: Int[Array, "b"]
    clumsy: Float[Array, "b joints"]


def plan(
    motions: Motions, key: Array, count: int, split: str = "train", among: tuple[int, ...] = ()
) -> Planned:
    """Draws `count` trajectories, none of them under physics yet. Pure.

    Args:
      among: numbers of the instructions to carry out, as `draw_instructions` takes them.

    Raises:
      ValueError: another split, or a count below 2.
    """
    check_split(split)
    if count < 2:
        raise ValueError(f"count is {count}, wanted 2 at least: half are kinematic, half under physics")
    if split == FAILING:
        return _plan_failing(motions, key, count, among)
    key_which, key_plan = jax.random.split(key)
    which = draw_instructions(key_which, count, split, among)
    speeds, views = ("held out" if split == kind else "train" for kind in ("speeds", "views"))
    speeds = FREE if split == FREE else speeds

    def follow(key: Array, which: Array) -> tuple[Array, Array]:
        planned = motions.plan(key, which, speeds=speeds, views=views)
        return motions.path(planned), motions.mask(planned)

    paths = jax.vmap(follow)(jax.random.split(key_plan, count), which)
    return Planned(*paths, which, jnp.zeros((count, motions.parts.shape[1])))


def _plan_failing(motions: Motions, key: Array, count: int, among: tuple[int, ...]) -> Planned:
    """Some go a part of their way; those that go under physics are clumsy: an arm may do what it is told
    while the legs give way, as a policy's do that has not learnt to stand."""
    keys = jax.random.split(key, 6)
    which = draw_instructions(keys[0], count, among=among)
    shares = jax.random.uniform(keys[1], (count,), minval=HALF_HEARTED[0], maxval=HALF_HEARTED[1])
    whole = jax.random.bernoulli(keys[2], WHOLE, (count,))

    def follow(key: Array, which: Array, share: Array) -> tuple[Array, Array]:
        planned = half_hearted(motions.plan(key, which), share)
        return motions.path(planned), motions.mask(planned)

    paths = jax.vmap(follow)(jax.random.split(keys[3], count), which, jnp.where(whole, 1.0, shares))
    misses = jax.random.uniform(keys[4], (count, len(motions.parts)), minval=CLUMSY[0], maxval=CLUMSY[1])
    misses *= jax.random.bernoulli(keys[5], CLUMSY_PARTS, misses.shape)
    return Planned(*paths, which, misses @ motions.parts)


def carry_out(motions: Motions, key: Array, planned: Planned) -> Batch:
    """The second half under physics; what the oracle says of each. Pure, and the same for every split."""
    key_roll, key_harness, *keys_miss = jax.random.split(key, 4)
    qpos, mask, which, clumsy = planned
    count, half = len(which), len(which) // 2
    harness = jax.random.choice(key_harness, jnp.array(HARNESS), (count - half,))
    clumsy = clumsy[half:, None]
    lifted = jnp.where((clumsy > 0).any(axis=(1, 2)), 0.0, harness)
    harness = jnp.stack([lifted, harness], axis=1)
    aims = qpos[half:, 1:, 7:]
    for key_miss, shape in zip(keys_miss, (clumsy.shape, aims.shape), strict=True):
        aims += clumsy * 0.5**0.5 * jax.random.normal(key_miss, shape)
    aims = qpos[half:].at[:, 1:, 7:].set(aims)
    keys = jax.random.split(key_roll, count - half)
    qpos = jnp.concatenate([qpos[:half], jax.vmap(motions.roll)(keys, aims, harness)])
    seen = jax.vmap(lambda qpos: signs(motions.env, qpos))(qpos)
    return Batch(qpos, mask, which, jax.vmap(truth)(seen, mask), seen, jnp.arange(count) >= half)


def check_split(split: str) -> None:
    known = (*SPLITS, FAILING, FREE)
    if split not in known:
        raise ValueError(f"split is {split!r}, wanted one of {', '.join(known)}")
