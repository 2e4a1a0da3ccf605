"""Sums over devices, on an axis of `vmap` in the place of a mesh's."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from train.sums import means, totals

AXIS = "devices"
TREE = {"a": jnp.arange(6.0).reshape(2, 3), "b": (jnp.array([1.0, 10.0]), jnp.ones((2, 2, 2)))}


def test_each_array_of_a_tree_is_summed_by_itself():
    found = jax.vmap(partial(totals, axis=AXIS), axis_name=AXIS)(TREE)
    wanted = jax.tree.map(lambda x: np.broadcast_to(x.sum(0), x.shape), TREE)
    jax.tree.map(np.testing.assert_array_equal, found, wanted)
    assert totals(TREE, None) is TREE


def test_devices_exchange_once():
    """However many arrays there are: each would have all devices wait."""
    traced = jax.make_jaxpr(partial(totals, axis=AXIS), axis_env=[(AXIS, 2)])(TREE)
    summed = [equation for equation in traced.eqns if "psum" in equation.primitive.name]
    assert len(summed) == 1 and len(summed[0].invars) == 1


def test_means_are_of_what_has_weight_on_all_devices():
    weight = jnp.array([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    values = jnp.array([[2.0, 50.0, 4.0], [70.0, 90.0, 9.0]])

    def mean(values, weight, axis: str | None):
        return means({"x": jnp.sum(values * weight)}, weight, axis)["x"]

    found = jax.vmap(lambda v, w: mean(v, w, AXIS), axis_name=AXIS)(values, weight)
    np.testing.assert_allclose(found, [5.0, 5.0], rtol=1e-6)
    np.testing.assert_allclose(mean(values[0], weight[0], None), 3.0, rtol=1e-6)
    assert mean(values, jnp.zeros_like(values), None) == 0  # nothing has weight
