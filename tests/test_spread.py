"""Arrays that are spread over devices by their type, as `jax.make_mesh` has it: each device does its part."""

ON_DEVICES = """
import jax, numpy as np
from jax.sharding import NamedSharding, PartitionSpec
import jaxrm

assert jax.device_count() == 8
mesh = jax.make_mesh((4, 2), ("time", "worlds"))
clip = jaxrm.load_clip("scene-clip")
goal, baseline = "a humanoid robot kneeling", "a humanoid robot"
reward = jaxrm.ClipReward.create(clip, goal=goal, baseline=baseline, alpha=0.5)
frames = np.random.default_rng(0).integers(0, 256, (4, 6, 40, 40, 3)).astype(np.uint8)
want = reward(frames)
for spec in (("time", "worlds"), (None, "worlds"), ("time",)):
    spread = jax.device_put(frames, NamedSharding(mesh, PartitionSpec(*spec)))
    for call in (reward, jax.jit(reward), jax.jit(lambda x: reward(x))):
        got = call(spread)
        assert tuple(got.sharding.spec)[: len(spec)] == spec, got.sharding
        np.testing.assert_allclose(got, want, atol=2e-6)
embedded = clip.embed_images(spread, batch=2)
np.testing.assert_allclose(embedded, clip.embed_images(frames), atol=2e-6)
"""


def test_frames_on_an_explicit_mesh_are_scored_where_they_lie(on_devices):
    on_devices(ON_DEVICES)
