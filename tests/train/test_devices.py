"""Updates on several devices equal those on one, in float64: of policies, the small CLIP and interfaces."""

import subprocess
import sys

import pytest

CODE = """
import sys
import jax, numpy as np
import train
from train.rl.parts import Parts
from train.mesh import make_mesh
from train.rl.program import make_program

config = train.PolicyConfig(
    "pendulum", reward="truth", num_envs=32, unroll_length=8, epochs=2, minibatches=2,
    policy_hidden=(8,), value_hidden=(8,), algo=sys.argv[1],
    updates_per_step=1 / 64, batch_size=32, learning_starts=0, replay_size=384,  # the ring wraps
)
parts = Parts.build(config)
assert jax.device_count() == 8
finals = []
for devices in (jax.devices()[:1], jax.devices()):
    program = make_program(config, parts.env, parts.learner, parts.reward, make_mesh(devices))
    state, figures = program.run(program.init(jax.random.PRNGKey(0)), program.frozen, 2)
    assert len(state.worlds.obs.sharding.device_set) == len(devices)
    finals.append(jax.tree.map(np.asarray, state))
one, eight = map(jax.tree.leaves, finals)
assert any(x.dtype == np.float64 for x in one)
apart = [np.abs(a.astype(np.float64) - b) for a, b in zip(one, eight) if a.size]
worst = max(float(np.nanmax(np.append(x, 0.0))) for x in apart)
print("worst", worst)
assert worst < 1e-10
"""


CLIP = """
import jax, jax.numpy as jnp, numpy as np
from envs import claims
from envs.humanoid import captions, tasks
from envs.humanoid.measure import Measures
from jaxrm.models import Clip
from train import scenes
from train.clip import config as clip_config, start as clip_start, update as clip_update
from train.mesh import make_mesh

def draw_one(env, qpos, key, size):  # quick to compile
    keys = jax.random.split(key, 3)
    return scenes.Scenes(
        frames=jax.random.bits(keys[0], (size, size, 3), jnp.uint8),
        misses=jax.random.uniform(keys[1], (len(captions.NAMES) + 1,)),
        measures=Measures(*jax.random.normal(keys[2], (len(Measures._fields),))),
        places=qpos[:3],
    )

scenes.draw_one = draw_one
config = clip_config.ClipConfig(
    images=32, batch=16, texts=8, size=32, width=16, layers=1, heads=2, text_width=16, text_layers=1,
    projection=8, steps_per_call=2,
)
env, key = tasks.factory("kneeling")(), jax.random.key(0)
pool = jax.random.normal(key, (32, env.mj_model.nq))
said = claims.join([captions.claims()], [len(captions.NAMES) + 1], [1.0])
tokens = jax.random.randint(key, (len(said.parts), 2, 32), 0, 50)
corpus = clip_update.Corpus(said.parts, said.negated, said.weight, tokens)
corpus = jax.tree.map(jnp.asarray, corpus)
scale = clip_update.Scale.of(env, pool, config.size)
assert jax.device_count() == 8
finals = []
for devices in (jax.devices()[:1], jax.devices()):
    model = Clip.create(clip_start.architecture(config, 50).with_dtype("float64"), key)
    model = jax.tree.map(lambda x: x.astype(jnp.float64), model)
    learner, optimizer = clip_update.make_learner(config, model, scale)
    run = clip_update.make_run(config, env, {}, optimizer, scale, make_mesh(devices))
    finals.append(jax.tree.map(np.asarray, run(learner, pool, corpus, key)))
(one, losses), (eight, others) = finals
pairs = list(zip(jax.tree.leaves(one.weights), jax.tree.leaves(eight.weights)))
worst = max(np.abs(a - b).max() for a, b in pairs)
moved = max(np.abs(a - b).max() for a, b in zip(jax.tree.leaves(one.weights), jax.tree.leaves(one.average)))
assert losses.shape == (3,) and worst < 1e-6 < 1e-4 < moved, (losses, worst, moved)
assert np.abs(losses - others).max() < 1e-6, (losses, others)
"""


INTERFACE = """
from dataclasses import replace
from functools import partial
import jax, jax.numpy as jnp, numpy as np
import jaxrm
from tests.train.conftest import CONFIG, GOLDEN, make_data, make_failing, new
from train.interface import main as program
from train.interface.losses import Words

config = replace(CONFIG, spoiled=0, changed=0, failing=0, prefixes=1)  # quick to compile; rows meet as ever
lm = jaxrm.load_decoder(GOLDEN / "decoder-llama", dtype="float64")
said, data = Words.of(lm, config.protocol, 1), make_data()
data, failing = (x._replace(embeddings=x.embeddings.astype(float)) for x in (data, make_failing(data)))
weights = jax.tree.map(lambda x: x.astype(float), new(lm).with_dtype("float64"))
begin = program.start(config, weights, len(data.embeddings))
given = begin, said, data, failing, jax.random.key(1)
assert jax.device_count() == 2
finals, spread = [], program.spread_rows
for rows in (lambda tree: tree, spread):
    program.spread_rows = rows
    epoch = jax.jit(partial(program.epoch, config)).lower(*given).compile()
    assert ("all-reduce" in epoch.as_text()) == (rows is spread)
    finals.append(epoch(*given))
(one, losses), (two, others) = finals
moved, apart = (
    max(np.abs(np.asarray(a) - b).max() for a, b in zip(*map(jax.tree.leaves, pair)))
    for pair in ((one.interface, begin.interface), (one, two))
)
assert losses.shape == (2,) and losses.dtype == float and np.abs(np.asarray(losses) - others).max() < 1e-10
assert apart < 1e-9 < 1e-3 < moved, (apart, moved)
"""


@pytest.mark.parametrize("code, algo", [(CODE, "ppo"), (CODE, "sac"), (CLIP, "")], ids=["ppo", "sac", "clip"])
def test_eight_devices_equal_one(code, algo, on_devices):
    on_devices(code, algo, JAX_ENABLE_X64="1")


def test_an_epoch_of_an_interface_on_two_devices_equals_one(on_devices):
    on_devices(INTERFACE, devices=2, JAX_ENABLE_X64="1")


def test_importing_the_programs_leaves_jax_alone():
    """Once jax has looked for devices, the cores of a machine cannot become devices any more."""
    code = "import envs, jaxrm, train.cli, jax._src.xla_bridge as bridge; assert not bridge._backends"
    subprocess.run([sys.executable, "-c", code], check=True)


SEVERAL = """
import sys
import jax
import train

run = train.policy(train.PolicyConfig(
    "pendulum", reward="truth", steps=512, num_envs=16, unroll_length=16, num_shards=2, epochs=1,
    minibatches=1, policy_hidden=(8,), value_hidden=(8,), eval_episodes=3, video_episodes=0, out=sys.argv[1],
))
assert jax.device_count() == 2
again = train.evaluate(run.folder)
assert again["truth_return"] == run.result["truth_return_end"], (again, run.result)
"""


def test_a_run_is_trained_and_judged_again_on_two_devices(tmp_path, on_devices):
    on_devices(SEVERAL, str(tmp_path / "run"), devices=2)
