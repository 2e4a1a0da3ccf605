"""One update with the true reward on 8 devices equals one device, in float64."""

import os
import subprocess
import sys
from pathlib import Path

CODE = """
import jax, numpy as np
import train
from train.policies import _Parts
from train.program import make_mesh, make_program

config = train.PolicyConfig(
    "pendulum", reward="truth", num_envs=32, unroll_length=8, epochs=2, minibatches=2,
    policy_hidden=(8,), value_hidden=(8,),
)
parts = _Parts.build(config)
assert jax.device_count() == 8
finals = []
for devices in (jax.devices()[:1], jax.devices()):
    program = make_program(config, parts.env, parts.networks, parts.reward, make_mesh(devices))
    state, figures = program.run(program.init(jax.random.PRNGKey(0)), (), 1)
    assert len(state.worlds.obs.sharding.device_set) == len(devices)
    finals.append(jax.tree.map(np.asarray, state))
one, eight = map(jax.tree.leaves, finals)
assert any(x.dtype == np.float64 for x in one)
worst = max(float(np.max(np.abs(a.astype(np.float64) - b))) for a, b in zip(one, eight) if a.size)
print("worst", worst)
assert worst < 1e-10
"""


def test_eight_devices_equal_one():
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "JAX_ENABLE_X64": "1",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
    }
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=root, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
