"""MJX between two actions: what of a world goes on, and the steps that take it there."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float
from mujoco import mjx

from jaxrm.models.rows import in_blocks

# Numbers in the mass matrices of the worlds in work at once on CPUs: 16 humanoids, what is computed for whom
# stays in a core's cache.
_NUMBERS = 16 * 23**2
# A batch of matrices of more operations than this LAPACK hands to other threads, and waits: that takes time,
# and where devices that share the threads all wait, they stand still forever. A factorisation has n^3/3.
_ALONE = 200_000

# Traced once a process for bodies that are alike, whatever programs it stands in: the humanoid's
# takes three to four seconds.
_step = jax.jit(mjx.step)


class Physics(NamedTuple):
    """What one world needs to go on. Everything else of `mjx.Data` is computed again, and carrying it
    through a rollout would move some hundred times the bytes.

    `act` is of actuators that have a state of their own, None where none has.
    """

    qpos: Float[Array, "nq"]
    qvel: Float[Array, "nv"]
    warmstart: Float[Array, "nv"]
    act: Float[Array, "na"] | None = None


def simulate(
    model: mjx.Model, data: mjx.Data, physics: Physics, control: Float[Array, "nu"], substeps: int
) -> Physics:
    """`substeps` time steps under one control; of `data` only what `physics` does not say is used.

    Of one world. Under `vmap` an accelerator steps all worlds at once, a CPU a few after the other.
    """

    def steps(physics: Physics, control: Array) -> Physics:
        start = data.replace(
            qpos=physics.qpos,
            qvel=physics.qvel,
            act=data.act if physics.act is None else physics.act,
            qacc_warmstart=physics.warmstart,
            ctrl=control,
        )
        end = jax.lax.fori_loop(0, substeps, lambda _, data: _step(model, data), start)
        return Physics(end.qpos, end.qvel, end.qacc_warmstart, None if physics.act is None else end.act)

    nv = max(1, model.nv)
    return _few_at_once(steps, max(1, min(_NUMBERS // nv**2, 3 * _ALONE // nv**3)))(physics, control)


def _few_at_once(f: Callable[..., Any], few: int) -> Callable[..., Any]:
    """`f` of one world, which under `vmap` an accelerator runs for all worlds at once, and a CPU for at most
    `few`, one block after the other; under another `vmap`, one of several runs, too."""
    if jax.default_backend() != "cpu":
        return f

    @jax.custom_batching.custom_vmap
    def block(rows: Any) -> Any:
        return jax.vmap(lambda row: f(*row))(rows)

    @block.def_vmap
    def blocks(count: int, batched: Any, rows: Any) -> Any:
        after = jax.lax.map(block, _spread(rows, batched[0], count))
        return after, jax.tree.map(lambda _: True, after)

    one = jax.custom_batching.custom_vmap(f)

    @one.def_vmap
    def many(worlds: int, batched: Any, *states: Any) -> Any:
        rows = _spread(states, tuple(batched), worlds)
        after = in_blocks(block, rows, -(-worlds // -(-worlds // few)))
        return after, jax.tree.map(lambda _: True, after)

    return one


def _spread(tree: Any, batched: Any, count: int) -> Any:
    """With an axis in front of all leaves, not only of those that are `batched`."""
    return jax.tree.map(
        lambda x, has_axis: x if has_axis else jnp.broadcast_to(x, (count, *x.shape)), tree, batched
    )


def is_sane(physics: Physics, max_speed: float) -> Bool[Array, ""]:
    """All is finite, and no joint faster than `max_speed`, rad/s or m/s."""
    finite = jnp.isfinite(jnp.concatenate(jax.tree.leaves(physics))).all()
    return finite & (jnp.abs(physics.qvel).max() < max_speed)
