"""Trajectories with instructions, made, drawn and embedded on the accelerator; no files.

Another source plugs in by giving `Batch`es: states, which frames count, and an oracle's truth.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec
from jaxtyping import Array, Bool, Float, Int, UInt8

from envs.humanoid import motion_captions
from envs.humanoid.env import Humanoid
from envs.humanoid.instructions import CHANGES, INSTRUCTIONS, change_table, feasible, held_out
from envs.humanoid.motion_truth import Signs, carried_out, signs, truth
from envs.humanoid.motions import HARNESS, Motions, half_hearted
from jaxrm.metrics.reorder import Order, another, reorder
from jaxrm.models import Network
from jaxrm.render import render
from jaxrm.rewards.likelihood import Trajectories
from jaxrm.rewards.likelihood_reward import encode_frames
from jaxrm.weights import ImageSettings
from jaxrm.weights.embed import run
from train import looks, scenes
from train.mesh import make_mesh
from train.sums import AXIS

SHARDS = 8  # of a block, at most
SINGLES = 0.3  # share of single actions among what is asked for
SPLITS = ("train", "speeds", "views", "combinations")  # what is held out, one at a time; wordings come later
# What spoils a trajectory whatever it shows; of the others the oracle says whether they do.
ALWAYS_WRONG = ("frozen", "shuffled", "too fast")
ANOTHER = "another motion's"
FAILING = "failing"  # films of bodies that do not do what they are told; a split of its own
HALF_HEARTED = (0.25, 0.9)  # share of their way that they go
WHOLE = 0.5  # share of films that go all of it
CLUMSY = (0.2, 1.2)  # rad: by how much joints of a clumsy part miss under physics, till the body falls
CLUMSY_PARTS = 0.6  # share of parts that are clumsy: legs with the trunk, and each arm
SPOILED = ("reversed", "frozen", "shuffled", "truncated", "too fast", ANOTHER)


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
    _check_split(split)
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
      split: one of `SPLITS`, or `FAILING`.

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
    _check_split(split)
    if count < 2:
        raise ValueError(f"count is {count}, wanted 2 at least: half are kinematic, half under physics")
    if split == FAILING:
        return _plan_failing(motions, key, count, among)
    key_which, key_plan = jax.random.split(key)
    which = draw_instructions(key_which, count, split, among)
    speeds, views = ("held out" if split == kind else "train" for kind in ("speeds", "views"))

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


def draw(env: Humanoid, key: Array, qpos: Float[Array, "t nq"], size: int) -> UInt8[Array, "t size size 3"]:
    """Films one trajectory, with a camera and a look of its own."""
    key_camera, key_look, key_sun = jax.random.split(key, 3)
    camera, scene = scenes.random_camera(key_camera), looks.random_look(env.scene, key_look)
    sun = looks.SUN * jax.random.normal(key_sun, (3,))

    def one(qpos: Array) -> Array:
        view = looks.move_sun(env.view(env.pose_at(qpos), camera), sun)
        return render(scene, view, height=size, width=size)

    return jax.vmap(one)(qpos)


def embed(
    env: Humanoid,
    vision: Network,
    images: ImageSettings,
    key: Array,
    qpos: Float[Array, "b t nq"],
    block: int = 16,
) -> Float[Array, "b t d"]:
    """Films trajectories and embeds each frame once; `block` trajectories are in work at a time. Pure."""

    def one(args: tuple[Array, Array]) -> Array:
        frames = draw(env, *args, images.size)
        return run(encode_frames, vision, frames, images)

    return jax.lax.map(one, (jax.random.split(key, len(qpos)), qpos), batch_size=block)


class Dataset(NamedTuple):
    """A batch of any number, and the embeddings of its frames."""

    batch: Batch
    embeddings: Float[Array, "n t d"]

    @property
    def trajectories(self) -> Trajectories:
        """As the likelihood's losses take them."""
        return Trajectories(self.embeddings, self.batch.mask)

    def __getitem__(self, index: Any) -> "Dataset":
        """Some of the rows, by slice or array."""
        return jax.tree.map(lambda x: x[index], self)


def maker(
    motions: Motions, vision: Network, images: ImageSettings, *, block: int = 256, dtype: str = "float16"
) -> Callable[..., Dataset]:
    """`make(key, count, split="train", among=())` makes datasets as `dataset` does, several of them with one
    compiled program for physics, drawing and embedding: only the plans of a split are its own, and those
    among some instructions.

    A block is cut into shards, which are spread over the devices and have keys of their own, so that what is
    made does not depend on how many devices there are.
    """
    shards = math.gcd(SHARDS, block // 2)
    mesh = make_mesh(jax.devices()[: math.gcd(shards, jax.device_count())])

    def one(vision: Network, key: Array, planned: Planned) -> Dataset:
        key_do, key_embed = jax.random.split(key)
        batch = carry_out(motions, key_do, planned)
        return Dataset(batch, embed(motions.env, vision, images, key_embed, batch.qpos).astype(dtype))

    everywhere, rows = PartitionSpec(), PartitionSpec(AXIS)
    spread = jax.shard_map(
        jax.vmap(one, in_axes=(None, 0, 0)),
        mesh=mesh,
        in_specs=(everywhere, rows, rows),
        out_specs=rows,
        check_vma=False,
    )

    @jax.jit
    def finish(vision: Network, key: Array, planned: Planned) -> Dataset:
        parts = jax.tree.map(lambda x: x.reshape(shards, -1, *x.shape[1:]), planned)
        made = spread(vision, jax.random.split(key, shards), parts)
        return jax.tree.map(lambda x: x.reshape(block, *x.shape[2:]), made)

    plans = jax.jit(partial(plan, motions), static_argnums=(1, 2, 3))

    def make(key: Array, count: int, split: str = "train", among: tuple[int, ...] = ()) -> Dataset:
        _check_split(split)
        parts = []
        for part in jax.random.split(key, math.ceil(count / block)):
            key_plan, key_finish = jax.random.split(part)
            parts.append(finish(vision, key_finish, plans(key_plan, block, split, among)))
        return jax.tree.map(lambda *x: jnp.concatenate(x), *parts)

    return make


def dataset(
    motions: Motions,
    vision: Network,
    images: ImageSettings,
    key: Array,
    count: int,
    *,
    split: str = "train",
    block: int = 512,
    dtype: str = "float16",
) -> Dataset:
    """At least `count` trajectories, embedded once and kept on the device.

    Args:
      block: trajectories a call of a compiled program.
      dtype: in which embeddings are kept.

    Raises:
      ValueError: another split, or a block below 2.
    """
    return maker(motions, vision, images, block=block, dtype=dtype)(key, count, split)


class Spoiled(NamedTuple):
    """Perturbations of trajectories, in the order of `SPOILED`.

    Attributes:
      trajectories: embeddings [b, q, t, d] and mask [b, q, t], as `protocols.contrastive` takes them.
      wrong: [b, q]: it truly does not carry out the instruction any more.
    """

    trajectories: Trajectories
    wrong: Bool[Array, "b q"]


def spoil(key: Array, data: Dataset) -> Spoiled:
    """Every perturbation of each trajectory, judged by the oracle; pure."""
    batch, b = data.batch, len(data.embeddings)
    key_order, key_other = jax.random.split(key)
    orders = reorder(key_order, batch.mask)
    other, found = another(key_other, ~batch.same.T)
    index = jnp.broadcast_to(jnp.arange(batch.mask.shape[1]), batch.mask.shape)
    embeddings, masks, wrong = [], [], []
    for name in SPOILED:
        if name == ANOTHER:
            order, source, spoils = Order(index, batch.mask[other]), data.embeddings[other], found
        else:
            order, source = orders[name], data.embeddings
            spoils = jnp.ones(b, bool) if name in ALWAYS_WRONG else ~_judged(batch, order)
        embeddings.append(order.of(source))
        masks.append(order.mask)
        wrong.append(spoils)
    worse = Trajectories(jnp.stack(embeddings, axis=1), jnp.stack(masks, axis=1))
    return Spoiled(worse, jnp.stack(wrong, axis=1))


def _judged(batch: Batch, order: Order) -> Bool[Array, "b"]:
    """Whether each still does its instruction in another order."""
    seen = jax.tree.map(order.of, batch.signs)
    return jax.vmap(carried_out)(seen, order.mask, batch.which)


def change_instructions(key: Array, batch: Batch) -> tuple[Int[Array, "b kinds"], Bool[Array, "b kinds"]]:
    """For each kind of `CHANGES`, the number of a changed instruction, and whether it is one that the
    trajectory does not carry out; where a kind does not apply the number is the instruction's own. Pure."""
    numbers, wrong = [], []
    for kind, key_kind in zip(CHANGES, jax.random.split(key, len(CHANGES)), strict=True):
        options = jnp.asarray(change_table(kind))[batch.which]
        chance = jax.random.uniform(key_kind, options.shape)
        pick = jnp.argmax(jnp.where(options >= 0, chance, -1.0), axis=1)[:, None]
        number = jnp.take_along_axis(options, pick, axis=1)[:, 0]
        number = jnp.where(number < 0, batch.which, number)
        numbers.append(number)
        wrong.append(~jnp.take_along_axis(batch.truth, number[:, None], axis=1)[:, 0])
    own = jnp.stack(numbers, axis=1) != batch.which[:, None]
    return jnp.stack(numbers, axis=1), jnp.stack(wrong, axis=1) & own


def sentences(count: int, held_out: bool = False) -> tuple[str, ...]:
    """`count` wordings of every instruction in turn, of training or those kept from it: tails made of them
    have the `w`-th wording of instruction `i` in row `i * count + w`."""
    return tuple(
        words for instruction in INSTRUCTIONS for words in motion_captions.split(instruction, count, held_out)
    )


def _check_split(split: str) -> None:
    if split not in (*SPLITS, FAILING):
        raise ValueError(f"split is {split!r}, wanted one of {', '.join((*SPLITS, FAILING))}")
