"""Frames and measured truths for training a reward model, made on the accelerator; no files."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8

from envs import claims
from envs.humanoid import captions, reach
from envs.humanoid.env import Humanoid
from envs.humanoid.measure import Measures
from envs.humanoid.postures import Sampler, turn
from jaxrm.render import Camera, View, render
from train.looks import SUN, move_sun, random_look, turn_sun

# Cameras of the training frames: around the presets. Azimuth needs no range, bodies are turned.
DISTANCE = (2.1, 3.1)  # m
ELEVATION = (-24.0, -2.0)  # degrees
HEIGHT = (0.5, 1.0)  # m, of the point looked at
# Those of one frame in four reach as far as people put cameras, VLM-RM's own among them.
FAR, FAR_DISTANCE, FAR_ELEVATION, FAR_HEIGHT = 0.25, (1.9, 3.7), (-35.0, 5.0), (0.4, 1.1)
HOLD = (4, 40)  # steps for which a rollout aims at one posture
JITTER = (0.0, 0.1, 0.3, 0.6)  # noise of a world's actions, as a policy's own while it explores
CANDIDATES = 16  # states from which the one nearest to a claim is pulled on
BLOCK = 1024  # states pulled at a time
STEPS = 60  # of pulling, at most; nine in ten arrive


class Scenes(NamedTuple):
    """Frames, and what is true in them; `places` are the geoms' centres in the camera's frame, metres."""

    frames: UInt8[Array, "n size size 3"]
    misses: Float[Array, "n concepts"]
    measures: Measures
    places: Float[Array, "n coordinates"]


def pulled_states(
    env: Humanoid, key: Array, count: int, parts: Int[np.ndarray, "claims parts"] | None = None
) -> Float[Array, "n nq"]:
    """Poses on the way to random claims, most of them there; some with joints out of line again. What is
    spoken of most is claimed most.

    Called on the host: block by block, so that large pools of all sizes share one program in the compilation
    cache.

    Args:
      parts: of the claims, as `Claims.parts`; None: all that captions claim and do not deny.
    """
    weight = None
    if parts is None:
        said = captions.claims()
        posed = ~said.negated.any(-1) & (said.parts[:, 0] >= 0)
        parts, weight = said.parts[posed], jnp.asarray(said.weight[posed] / said.weight[posed].sum())
    block = max(1, min(count, BLOCK))
    pull = jax.jit(jax.vmap(_puller(env, jnp.asarray(parts), weight)))
    keys = jax.random.split(key, max(1, -(-count // block)) * block)
    return jnp.concatenate([pull(keys[i : i + block]) for i in range(0, len(keys), block)])[:count]


def _puller(
    env: Humanoid, parts: Int[Array, "claims parts"], weight: Float[Array, "claims"] | None
) -> Callable[[Array], Float[Array, "nq"]]:
    sampler = Sampler(env)

    def one(key: Array) -> Array:
        key_claim, key_start, key_steps, key_loose, key_noise = jax.random.split(key, 5)
        claim = jax.random.choice(key_claim, parts, p=weight)

        def miss(measures: Measures) -> Array:
            return claims.parts_misses(captions.misses(measures), claim).sum()

        starts = jax.vmap(sampler.sample)(jax.random.split(key_start, CANDIDATES))
        distances = jax.vmap(lambda qpos: miss(env.measures(env.pose_at(qpos))))(starts)
        steps = jax.random.randint(key_steps, (), 5, STEPS)
        qpos = reach.pull(env, sampler, miss, starts[jnp.argmin(distances)], steps, limit=STEPS)
        loose = jax.random.choice(key_loose, jnp.array([0.0, 0.0, 0.05, 0.15]))
        joints = qpos[7:] + loose * jax.random.normal(key_noise, qpos[7:].shape)
        return sampler.settle(qpos.at[7:].set(joints), sampler.lowest(qpos))

    return one


def rollout_states(
    env: Humanoid,
    key: Array,
    starts: Float[Array, "worlds nq"],
    aims: Float[Array, "aims nq"],
    steps: int,
    keep_every: int,
) -> Float[Array, "n nq"]:
    """States of bodies under physics, each aiming at the joints of one random posture after another.

    They fall, sprawl, recover and move on; most with noise in every action.

    Returns:
      qpos, float32 [worlds * steps / keep_every, nq].
    """
    worlds = len(starts)
    low, high = jnp.asarray(env.mj_model.jnt_range[1:]).T
    order = jnp.asarray(env.mj_model.actuator_trnid[:, 0] - 1)  # actuators stand in another order than joints
    key_jitter, key_reset, key_roll = jax.random.split(key, 3)
    jitter = jax.random.choice(key_jitter, jnp.array(JITTER), (worlds, 1))
    state = jax.vmap(env.reset)(jax.random.split(key_reset, worlds))
    state = state._replace(data=state.data._replace(qpos=starts))

    def aim(key: Array) -> tuple[Array, Array]:
        key_which, key_hold = jax.random.split(key)
        joints = aims[jax.random.randint(key_which, (), 0, len(aims)), 7:]
        return (2 * (joints - low) / (high - low) - 1)[order], jax.random.randint(key_hold, (), *HOLD)

    def step(carry, key):
        state, action, left = carry
        key_aim, key_noise = jax.random.split(key)
        fresh, hold = jax.vmap(aim)(jax.random.split(key_aim, worlds))
        action = jnp.where((left <= 0)[:, None], fresh, action)
        left = jnp.where(left <= 0, hold, left - 1)
        noisy = action + jitter * jax.random.normal(key_noise, action.shape)
        return (jax.vmap(env.step)(state, noisy), action, left), None

    def block(carry, key):
        carry, _ = jax.lax.scan(step, carry, jax.random.split(key, keep_every))
        return carry, carry[0].data.qpos

    start = (state, jnp.zeros((worlds, env.action_size)), jnp.zeros(worlds, jnp.int32))
    _, qpos = jax.lax.scan(block, start, jax.random.split(key_roll, steps // keep_every))
    return qpos.reshape(-1, qpos.shape[-1])


def state_pool(env: Humanoid, key: Array, count: int, worlds: int = 512) -> Float[Array, "n nq"]:
    """`count` states, half pulled towards claims, half of bodies under physics that start and aim anywhere.

    A third of the bodies start standing, a third in sampled postures, a third where others were pulled to.
    """
    sampler = Sampler(env)
    key_pull, key_sample, key_reset, key_roll = jax.random.split(key, 4)
    pulled = pulled_states(env, key_pull, count // 2)
    sampled = jax.jit(jax.vmap(sampler.sample))(jax.random.split(key_sample, max(count // 4, worlds)))
    stands = jax.vmap(lambda key: env.reset(key).data.qpos)(jax.random.split(key_reset, worlds))
    kind = jnp.arange(worlds)[:, None] % 3
    starts = jnp.where(kind == 0, stands, jnp.where(kind == 1, sampled[:worlds], _first(pulled, worlds)))
    keep_every = 4
    steps = keep_every * -(-count // (2 * worlds))
    roll = jax.jit(partial(rollout_states, env, steps=steps, keep_every=keep_every))
    rolled = roll(key_roll, starts, jnp.concatenate([pulled, sampled]))
    return jnp.concatenate([pulled, rolled[: count - len(pulled)]])


def _first(states: Array, count: int) -> Array:
    return states[jnp.arange(count) % len(states)]


def draw(env: Humanoid, qpos: Float[Array, "n nq"], key: Array, size: int) -> Scenes:
    """Turns each body at random and draws it, with a camera and a look of its own."""
    keys = jax.random.split(key, len(qpos))
    return jax.vmap(lambda qpos, key: draw_one(env, qpos, key, size))(qpos, keys)


def draw_one(env: Humanoid, qpos: Float[Array, "nq"], key: Array, size: int) -> Scenes:
    """The same of one body; no field has the axis `n`."""
    key_turn, key_camera, key_look, key_sun, key_side, key_far = jax.random.split(key, 6)
    far = jax.random.bernoulli(key_far, FAR)
    qpos = turn(qpos, jax.random.uniform(key_turn, (), minval=-jnp.pi, maxval=jnp.pi))
    pose = env.pose_at(qpos)
    view, scene = env.view(pose, random_camera(key_camera, far)), random_look(env.scene, key_look)
    # The camera stays where it is and the body turns, so the sun must turn too.
    view = turn_sun(view, jax.random.uniform(key_side, (), minval=-jnp.pi, maxval=jnp.pi))
    view = move_sun(view, SUN * jax.random.normal(key_sun, view.light_dir.shape))
    measures = env.measures(pose)
    return Scenes(
        frames=render(scene, view, height=size, width=size),
        misses=captions.misses(measures),
        measures=measures,
        places=_places(env, view),
    )


def _places(env: Humanoid, view: View) -> Float[Array, "coordinates"]:
    seen = (view.geom_pos - view.camera_pos) @ view.camera_mat
    return seen[np.flatnonzero(env.mj_model.geom_bodyid > 0)].reshape(-1)


def random_camera(key: Array, far: Bool[Array, ""] | bool = False) -> Camera:
    """One around the presets, or from further around them; it follows the body."""
    near = jnp.array([DISTANCE, ELEVATION, HEIGHT])
    low, high = jnp.where(far, jnp.array([FAR_DISTANCE, FAR_ELEVATION, FAR_HEIGHT]), near).T
    shares = jax.vmap(jax.random.uniform)(jax.random.split(key, 3))
    distance, elevation, height = low + (high - low) * shares
    slope = jnp.deg2rad(elevation)
    eye = distance * jnp.stack([jnp.cos(slope), jnp.zeros(()), -jnp.sin(slope)])
    target = jnp.stack([jnp.zeros(()), jnp.zeros(()), height])
    return Camera(target + eye, target, body="torso", level=True)
