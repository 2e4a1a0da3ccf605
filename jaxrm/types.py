"""The vocabulary of the house: what passes between rooms, with shapes."""

from typing import NamedTuple, Protocol

from jaxtyping import Array, Float, UInt8, UInt32

Frames = UInt8[Array, "*batch height width 3"]
Embeddings = Float[Array, "*batch dim"]


class Pose(NamedTuple):
    """The smallest tree from which a frame can be drawn again.

    Attributes:
      qpos: generalised coordinates, float32 [nq], in MuJoCo's order and units.
      key: the episode's key, uint32 [2]; everything that is constant over an episode
        (colours, sizes, textures) is drawn again from it.
    """

    qpos: Float[Array, "*batch nq"]
    key: UInt32[Array, "*batch 2"]


class Reward(Protocol):
    """A reward that looks at each frame by itself: uint8 [*batch, h, w, 3] -> float32 [*batch]."""

    def __call__(self, frames: Frames) -> Float[Array, "*batch"]: ...
