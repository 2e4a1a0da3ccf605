"""Reading in order: at once, on and on with a context, or on in several branches from one context."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxrm.models.blocks import BlocksConfig
from jaxrm.models.causal_attention import KeyValue
from jaxrm.models.context import Context, Sight, look
from jaxrm.models.network import Network


class Reader(Network):
    """A causal network over vectors. Subclasses say what happens around the blocks (`_run`).

    In all of its methods `mask` says which vectors are no padding (None: all). Padding may stand anywhere
    and be anything, even NaN: it is seen by nothing and takes up no position, so that rows give the same with
    and without it; what comes out at padding itself has no meaning.

    All raise a ValueError for vectors with other axes, a mask of another shape or of fractions, and where
    positions are learned for more vectors or slots than there are positions. Under jit nobody can tell how
    many of a context's slots hold a token: where a branch goes on beyond the last position, it stands there.
    """

    def _run(
        self, x: jax.Array, sight: Sight, past: Context | None, keep: bool
    ) -> tuple[jax.Array, KeyValue | None]:
        raise NotImplementedError

    def _blocks_config(self) -> BlocksConfig:
        raise NotImplementedError

    def _check_slots(self, slots: int) -> None:
        """Raise a ValueError where that many vectors cannot all have a position. Here they can."""

    def read(
        self, x: Float[Array, "b t inputs"], mask: Bool[Array, "b t"] | None = None
    ) -> Float[Array, "b t outputs"]:
        """Everything at once."""
        x, real = _cleared(x, mask)
        self._check_slots(x.shape[1])
        return self._run(x, look(real), None, False)[0]

    def remember(
        self, x: Float[Array, "b t inputs"], mask: Bool[Array, "b t"] | None = None, slots: int | None = None
    ) -> tuple[Float[Array, "b t outputs"], Context]:
        """Everything at once, with a context to read on from that holds `slots` vectors (None: it is
        full).
        """
        x, real = _cleared(x, mask)
        self._check_slots(max(x.shape[1], slots or 0))
        y, new = self._run(x, look(real), None, True)
        assert new is not None
        return y, Context.of(new.keys, new.values, real, slots)

    def empty(self, b: int, slots: int) -> Context:
        """A context of `b` rows that has read nothing yet."""
        self._check_slots(slots)
        config = self._blocks_config()
        shape = (config.layers, b, slots, config.kv_heads, config.head_width)
        zeros = jnp.zeros(shape, config.dtype)
        return Context(zeros, zeros, jnp.zeros((b, slots), bool), jnp.zeros((), jnp.int32))

    def extend(
        self, context: Context, x: Float[Array, "b t inputs"], mask: Bool[Array, "b t"] | None = None
    ) -> tuple[Float[Array, "b t outputs"], Context]:
        """Read on; the context must have room, see `Context.append`.

        Raises:
          ValueError: there are more vectors than slots.
        """
        x, real = _cleared(x, mask)
        if x.shape[1] > context.slots:
            raise ValueError(f"{x.shape[1]} vectors do not fit into a context of {context.slots} slots")
        self._check_slots(context.slots)
        y, new = self._run(x, look(real, context), context, True)
        assert new is not None
        return y, context.append(new.keys, new.values, real)

    def branch(
        self,
        context: Context,
        x: Float[Array, "b branches t inputs"],
        mask: Bool[Array, "b branches t"] | None = None,
        visible: Bool[Array, "b branches slots"] | None = None,
    ) -> Float[Array, "b branches t outputs"]:
        """Read on in several ways, each as if the context held only the slots that are `visible` to it.

        What a slot holds does not depend on what follows it, so for prefixes of a context this is exact, and
        the context is neither read again nor copied.
        """
        x, real = _cleared(x, mask, "b, branches, t")
        b, branches, t, width = x.shape
        self._check_slots(max(context.slots, t))
        if visible is None:
            visible = jnp.ones((b, branches, context.slots), bool)
        sight = look(real.reshape(b * branches, t), context, visible)
        y = self._run(x.reshape(b * branches, t, width), sight, context, False)[0]
        return y.reshape(b, branches, t, y.shape[-1])


def real_of(x: Float[Array, "*b t d"], mask: jax.Array | None, axes: str = "b, t") -> Bool[Array, "*b t"]:
    """Which vectors are no padding.

    Args:
      mask: bool, or whole numbers, of which 0 is padding; None: there is none.
      axes: the names of those before the last one of `x`, which must be there.

    Raises:
      ValueError: other axes, or a mask of another shape or dtype.
    """
    if x.ndim != axes.count(",") + 2:
        raise ValueError(f"vectors have shape {x.shape}, wanted [{axes}, width]")
    return check_mask(mask, x.shape[:-1], "vector")


def check_mask(mask: jax.Array | None, shape: tuple[int, ...], of: str) -> Bool[Array, "..."]:
    """A mask as bool, all true for None; raises a ValueError for one of another shape or dtype."""
    if mask is None:
        return jnp.ones(shape, bool)
    mask = jnp.asarray(mask)
    if mask.shape != shape:
        raise ValueError(f"the mask has shape {mask.shape}, wanted {shape}, one for each {of}")
    if mask.dtype != bool and not jnp.issubdtype(mask.dtype, jnp.integer):
        raise ValueError(f"the mask is {mask.dtype}, wanted bool: whether a {of} counts or not")
    return mask.astype(bool)


def _cleared(x: jax.Array, mask: jax.Array | None, axes: str = "b, t") -> tuple[jax.Array, jax.Array]:
    """Vectors, and which are no padding. Padding becomes 0: NaN reaches others even weighted by 0."""
    real = real_of(x, mask, axes)
    return x if mask is None else jnp.where(real[..., None], x, 0), real
