"""What a small CLIP has learned, judged on scenes that it never saw; and its model card."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from envs.humanoid import captions
from envs.humanoid.concepts import POSTURES
from envs.humanoid.criteria import holds
from envs.humanoid.env import Humanoid
from envs.humanoid.postures import LEGS, Sampler
from envs.humanoid.tasks import CAMERA, TASKS
from jaxrm.metrics import roc_auc, spearman
from jaxrm.render import render
from jaxrm.weights.clip import ClipCheckpoint
from train import scenes

PATHS = ("kneeling", "sitting", "right leg up", "squatting")
PATH_GOALS = {"kneeling": "kneeling", "sitting": "sitting on the floor", "right leg up": "standing up on one leg", "squatting": "squatting"}


def path_frames(env: Humanoid, ending: str, size: int, points: int = 25) -> Array:
    """Frames along the straight joint-space path from standing to a named posture, feet kept on the floor."""
    sampler = Sampler(env)
    arms = sampler.arm_joints("hanging")
    start, end = sampler.leg_joints("standing") + arms, sampler.leg_joints(ending) + arms
    lean = jnp.deg2rad(LEGS[ending].lean)

    def frame(share: Array) -> Array:
        zero = jnp.zeros(())
        qpos = sampler.qpos(start + share * (end - start), share * lean, zero, zero, zero)
        return render(env.scene, env.view(env.pose_at(qpos), CAMERA), height=size, width=size)

    return jax.jit(jax.vmap(frame))(jnp.linspace(0, 1, points))


def path_scores(clip: ClipCheckpoint, env: Humanoid) -> dict[str, Float[np.ndarray, "points"]]:
    size = clip.processor.images.size
    goals = {name: f"a humanoid robot {PATH_GOALS[name]}" for name in PATHS}
    return {
        goals[name]: np.asarray(clip.embed_images(path_frames(env, name, size)) @ clip.embed_texts([goals[name]])[0])
        for name in PATHS
    }


def held_out(clip: ClipCheckpoint, env: Humanoid, key: Array, count: int = 4096) -> dict[str, float]:
    """ROC-AUC of each task's and posture's prompt against its predicate, half of the states rolled out."""
    key_sample, key_roll, key_draw = jax.random.split(key, 3)
    sampled = jax.jit(jax.vmap(Sampler(env).sample))(jax.random.split(key_sample, count // 2))
    roll = jax.jit(lambda key: scenes.rollout_states(env, key, count // 2 // 8, 160, 20))
    qpos = jnp.concatenate([sampled, roll(key_roll)])
    size = clip.processor.images.size
    batch = jax.jit(lambda qpos, key: scenes.draw(env, qpos, key, size))(qpos, key_draw)
    images = np.asarray(clip.embed_images(batch.frames))
    bounds = {task.goal: task.bounds for task in TASKS.values()}
    bounds |= {f"a humanoid robot {concept.phrases[0]}": concept.bounds for concept in POSTURES.values()}
    result = {}
    for goal, wanted in bounds.items():
        labels = np.asarray(jax.vmap(lambda measures: holds(wanted, measures))(batch.measures))
        result[goal] = roc_auc(images @ np.asarray(clip.embed_texts([goal])[0]), labels)
    return result


def write(clip: ClipCheckpoint, env: Humanoid, config: Any, key: Array, seconds: float) -> None:
    """Judges and writes the model card beside the weights."""
    auc, paths = held_out(clip, env, key), path_scores(clip, env)
    for goal, value in auc.items():
        print(f"AUC {value:.3f}  {goal}")
    for goal, scores in paths.items():
        print(f"path {spearman(scores, np.arange(len(scores))):.3f}  {goal}  {np.round(scores[::4], 2)}")
