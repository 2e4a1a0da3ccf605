"""Worlds stepped a few at a time say what each says by itself, however many there are."""

import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from mujoco import mjx

import envs
from envs import physics
from envs.physics import Physics, simulate
from jaxrm.flops import inner_jaxprs

ARM = """
<mujoco>
  <option timestep="0.01" iterations="2"/>
  <worldbody>
    <geom type="plane" size="1 1 .1"/>
    <body pos="0 0 .3">
      <joint name="a" type="hinge" axis="0 1 0" damping=".1"/>
      <geom type="capsule" fromto="0 0 0 .3 0 0" size=".04"/>
      <body pos=".3 0 0"><joint type="hinge" axis="0 1 0"/><geom type="sphere" size=".06" mass="1"/></body>
    </body>
  </worldbody>
  <actuator><motor joint="a" gear="2"/></actuator>
</mujoco>
"""


@pytest.fixture(scope="module")
def step():
    model = mujoco.MjModel.from_xml_string(ARM)
    put, data = mjx.put_model(model), mjx.make_data(model)
    return functools.partial(simulate, put, data, substeps=3)


def states(count: int) -> Physics:
    draw = np.random.default_rng(0)
    qpos, qvel = draw.uniform(-1, 1, (2, count, 2))
    return Physics(jnp.asarray(qpos), jnp.asarray(qvel), jnp.zeros((count, 2)))


def test_worlds_in_blocks_are_worlds_by_themselves(step, monkeypatch):
    monkeypatch.setattr(physics, "_NUMBERS", 4 * 2**2)  # four worlds at once
    many, control = states(14), jnp.linspace(-1, 1, 14)[:, None]
    alone = jax.jit(step)
    wanted = [alone(jax.tree.map(lambda x, i=i: x[i], many), control[i]) for i in range(14)]
    wanted = jax.tree.map(lambda *x: np.stack(x), *wanted)

    def same(found: Any, wanted: Any) -> None:
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), found, wanted)

    same(jax.jit(jax.vmap(step))(many, control), wanted)
    of_runs = jax.tree.map(lambda x: x.reshape(2, 7, *x.shape[1:]), (many, control))
    found = jax.jit(jax.vmap(jax.vmap(step)))(*of_runs)
    same(jax.tree.map(lambda x: x.reshape(14, *x.shape[2:]), found), wanted)
    # one control for all
    found = jax.jit(jax.vmap(step, in_axes=(0, None)))(many, control[3])
    same(jax.tree.map(lambda x: x[3], found), jax.tree.map(lambda x: x[3], wanted))


def factored(jaxpr: Any) -> Iterator[tuple[int, ...]]:
    """Shapes of all matrices that a program factors."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "cholesky":
            yield equation.invars[0].aval.shape
        for inner in inner_jaxprs(equation.params):
            yield from factored(inner)


def test_lapack_never_hands_matrices_to_other_threads():
    """Or CPU devices with a thread each stand still forever; several runs in one program included."""
    env = envs.make("humanoid/kneeling")
    state = jax.eval_shape(jax.vmap(jax.vmap(env.reset)), jax.random.split(jax.random.key(0), (3, 128)))
    actions = jax.ShapeDtypeStruct((3, 128, env.action_size), jnp.float32)
    shapes = list(factored(jax.make_jaxpr(jax.vmap(jax.vmap(env.step)))(state, actions).jaxpr))
    assert shapes and all(np.prod(shape) * shape[-1] / 3 < physics._ALONE for shape in shapes)
    assert {shape[:-2] for shape in shapes} == {(16,)}
