"""Trajectories drawn and embedded on the accelerator, each frame once; no files."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float, UInt8

from envs.humanoid.env import Humanoid
from envs.humanoid.motions import Motions
from jaxrm.models import Network
from jaxrm.render import render
from jaxrm.rewards.likelihood import Trajectories
from jaxrm.rewards.likelihood_reward import encode_frames
from jaxrm.weights import ImageSettings
from jaxrm.weights.embed import run
from train import looks, scenes
from train.films.trajectories import Batch, Planned, carry_out, check_split, plan
from train.mesh import make_mesh
from train.sums import AXIS

SHARDS = 8  # of a block, at most


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

    def done_only(self) -> "Dataset":
        """Those that did what they were to do; on the host, since their number is not known before."""
        return self[np.flatnonzero(np.asarray(self.batch.done))]

    def lengthened(self, frames: int) -> "Dataset":
        """With places for more frames, which do not count."""
        more = frames - self.embeddings.shape[1]

        def pad(x: Any) -> Any:
            return jnp.pad(x, [(0, 0), (0, more), *[(0, 0)] * (x.ndim - 2)])

        batch = self.batch
        qpos, mask, signs = jax.tree.map(pad, (batch.qpos, batch.mask, batch.signs))
        return Dataset(batch._replace(qpos=qpos, mask=mask, signs=signs), pad(self.embeddings))


def maker(
    motions: Motions, vision: Network, images: ImageSettings, *, block: int = 256, dtype: str = "float16"
) -> Callable[..., Dataset]:
    """`make(key, count, split="train", among=())` makes at least `count` trajectories, embedded once and kept
    on the device; ValueError for another split.

    Several datasets have one compiled program for physics, drawing and embedding: only the plans of a split
    are its own, and those among some instructions. A block is cut into shards, which are spread over the
    devices and have keys of their own, so that what is made does not depend on how many devices there are.

    Args:
      block: trajectories a call of the compiled program, 2 at least.
      dtype: in which embeddings are kept.
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
        check_split(split)
        parts = []
        for part in jax.random.split(key, math.ceil(count / block)):
            key_plan, key_finish = jax.random.split(part)
            parts.append(finish(vision, key_finish, plans(key_plan, block, split, among)))
        return jax.tree.map(lambda *x: jnp.concatenate(x), *parts)

    return make
