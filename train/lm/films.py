"""Films in words: what stands in the place of frames while the small decoder learns to read.

A pretrained decoder has read many stories in order before an interface is plugged into it; one from random
weights has read nothing, and no interface can steer it. So it is shown trajectories in words: each frame is
the sum of the words for what the oracle sees in it, of the body's posture and of how far it has turned. The
words are tokens of the decoder's own input space, which is where an interface's vectors will stand.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from envs.humanoid.motion_truth import CONDITIONS, Signs, facing, signs, truth
from envs.humanoid.motions import Motions
from jaxrm.metrics.reorder import Order, reorder
from jaxrm.models.decoder import Decoder
from jaxrm.weights import DecoderProcessor
from jaxrm.weights.decoder_text import pad
from train.films.spoil import ALWAYS_WRONG
from train.films.trajectories import draw_instructions

POSTURES = {  # of each of the oracle's conditions
    "standing": "standing",
    "kneeling": "kneeling",
    "sitting": "sitting",
    "bending": "bowing",
    "left leg up": "left leg",
    "right leg up": "right leg",
    "down": "down",
    "left": "left arm",
    "right": "right arm",
    "both": "both arms",
}
# Since the film began. Where the body faces would be told of single frames, but a small decoder does not
# learn to take the difference of two directions: left and right stayed at chance.
TURNED = ("turned left", "turned right")
FULL_TURN = math.radians(90.0)  # rad, at which they hold wholly
WORDS = (*(POSTURES[name] for name in CONDITIONS), *TURNED)
RATES = (0.5, 1.5)  # frames of a film for one of the trajectory's
NOISE = 0.4  # standard deviation at most, of a number's root mean square
AS_IT_IS = 0.5  # share of films that are not spoiled


class Pool(NamedTuple):
    """Trajectories as the oracle sees them.

    Attributes:
      signs: of each frame.
      mask: which frames count.
      which: the instruction that was carried out, a number of `INSTRUCTIONS`.
    """

    signs: Signs
    mask: Bool[Array, "n t"]
    which: Int[Array, "n"]

    def __getitem__(self, index: Int[Array, "b"]) -> "Pool":
        return jax.tree.map(lambda x: x[index], self)


class Film(NamedTuple):
    """Trajectories in words.

    Attributes:
      weights: how far each of `WORDS` holds, 0 to 1; of `TURNED` more than 1 after more than `FULL_TURN`.
      mask: which frames count.
      truth: which instructions each carries out.
      which: the instruction that was carried out before the film was spoiled.
    """

    weights: Float[Array, "b t words"]
    mask: Bool[Array, "b t"]
    truth: Bool[Array, "b instructions"]
    which: Int[Array, "b"]


def pool(motions: Motions, key: Array, count: int, split: str = "train") -> Pool:
    """Kinematic trajectories: neither physics nor frames are needed to tell them in words. Pure."""
    key_which, key_plan = jax.random.split(key)
    which = draw_instructions(key_which, count, split)

    def one(args: tuple[Array, Array]) -> tuple[Signs, Array]:
        plan = motions.plan(*args)
        return signs(motions.env, motions.path(plan)), motions.mask(plan)

    seen, mask = jax.lax.map(one, (jax.random.split(key_plan, count), which), batch_size=64)
    return Pool(seen, mask, which)


def tell(key: Array, drawn: Pool, spoil: bool = True) -> Film:
    """Tells trajectories in words, some of them faster, slower or spoiled in time; pure.

    Args:
      spoil: half of them are reversed, frozen, shuffled, cut short or hurried, and judged again; those of
        `ALWAYS_WRONG` carry out nothing.
    """
    keys = jax.random.split(key, 4)
    b, t = drawn.mask.shape
    soft = _soft(keys[0], drawn.signs.holds.astype(jnp.float32))
    order = Order(jnp.broadcast_to(jnp.arange(t), (b, t)), drawn.mask)
    never = jnp.zeros(b, bool)
    if spoil:
        orders = reorder(keys[1], drawn.mask)
        choices = jax.tree.map(lambda *x: jnp.stack(x), order, *orders.values())
        chance = jnp.array([AS_IT_IS, *[(1 - AS_IT_IS) / len(orders)] * len(orders)])
        pick = jax.random.choice(keys[2], len(chance), (b,), p=chance)
        order = jax.tree.map(lambda x: x[pick, jnp.arange(b)], choices)
        never = jnp.array([False, *(name in ALWAYS_WRONG for name in orders)])[pick]
    judged = jax.vmap(truth)(jax.tree.map(order.of, drawn.signs), order.mask) & ~never[:, None]
    paced = _pace(keys[3], order)
    headings = turned(paced.of(drawn.signs.heading), paced.mask)
    return Film(jnp.concatenate([paced.of(soft), headings], axis=-1), paced.mask, judged, drawn.which)


def _soft(key: Array, holds: Float[Array, "b t postures"]) -> Float[Array, "b t postures"]:
    """How far each word holds: a frame between two postures is a little of both, as it will be to an eye."""
    before, after = (jnp.roll(holds, step, axis=1) for step in (1, -1))
    edge = jnp.arange(holds.shape[1])[:, None]
    before = jnp.where(edge == 0, holds, before)
    after = jnp.where(edge == holds.shape[1] - 1, holds, after)
    share = jax.random.uniform(key, (len(holds), 1, 1), maxval=1 / 3)
    return (1 - 2 * share) * holds + share * (before + after)


def turned(heading: Float[Array, "b t"], mask: Bool[Array, "b t"]) -> Float[Array, "b t 2"]:
    """How far each of `TURNED` holds, of headings in rad."""
    share = jax.vmap(facing)(heading, mask) / FULL_TURN
    return jnp.maximum(jnp.stack([share, -share], axis=-1), 0)


def _pace(key: Array, order: Order) -> Order:
    """The same at half to double the number of frames."""
    t = order.mask.shape[-1]
    slots = int(t * RATES[1])
    low, high = jnp.log(jnp.array(RATES))
    rate = jnp.exp(jax.random.uniform(key, (*order.mask.shape[:-1], 1), minval=low, maxval=high))
    place = jnp.floor(jnp.arange(slots) / rate).astype(jnp.int32)
    there = jnp.minimum(place, t - 1)
    index, mask = (jnp.take_along_axis(x, there, axis=-1) for x in order)
    return Order(index, mask & (place < t))


def word_tokens(processor: DecoderProcessor) -> tuple[Int[Array, "words k"], Bool[Array, "words k"]]:
    """The tokens of each of `WORDS`, and which are no padding."""
    tokens, mask = pad([processor.encode(f" {word}") for word in WORDS])
    return jnp.asarray(tokens), jnp.asarray(mask)


def frame_vectors(
    lm: Decoder,
    words: tuple[Int[Array, "words k"], Bool[Array, "words k"]],
    weights: Float[Array, "b t words"],
    noise: Float[Array, "b t width"] | None = None,
) -> Float[Array, "b t width"]:
    """Frames in words -> vectors of the decoder's input space: sums of embeddings; pure.

    Args:
      noise: normal, to be added; None: none.
    """
    tokens, mask = words
    table = (lm.embed(tokens) * mask[..., None]).sum(axis=1)
    vectors = weights.astype(table.dtype) @ table
    if noise is None:
        return vectors
    size = jnp.sqrt(jnp.mean(jax.lax.stop_gradient(vectors) ** 2))
    return vectors + size * noise


def noise(key: Array, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Normal noise, of another size in each film; `NOISE` at most."""
    key_size, key_noise = jax.random.split(key)
    size = jax.random.uniform(key_size, (shape[0], 1, 1), maxval=NOISE)
    return size * jax.random.normal(key_noise, shape)
