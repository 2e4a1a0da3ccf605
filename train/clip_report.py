"""What a small CLIP has learned, judged on scenes that it never saw; and its model card."""

import dataclasses
import hashlib
import os
from functools import partial
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import jax
import jax.numpy as jnp
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Array, Float, UInt8

from envs.humanoid.concepts import POSTURES
from envs.humanoid.criteria import holds
from envs.humanoid.env import Humanoid
from envs.humanoid.postures import LEGS, Sampler
from envs.humanoid.tasks import CAMERA, TASKS
from jaxrm.metrics import roc_auc, spearman
from jaxrm.render import render
from jaxrm.weights.clip import ClipCheckpoint
from train import scenes

PATHS = {  # leg posture -> the phrase for it
    "kneeling": "kneeling",
    "sitting": "sitting on the floor",
    "right leg up": "standing up on one leg",
    "squatting": "squatting",
}
LOOK = "look.png"
GOLDEN = (  # (legs, arms, turn in radians)
    ("standing", "hanging", 0.0),
    ("kneeling", "raised", 0.8),
    ("sitting", "sideways", -0.9),
    ("squatting", "ahead", 2.5),
    ("on the back", "crossed", 1.6),
    ("left leg up", "at the hips", -2.2),
)
CARD = """\
# {name}

A CLIP of {millions:.2f}M parameters (vision and text) that knows one humanoid in one scene, and nothing of
the world. It was trained from random weights on frames drawn by this project's own renderer; it loads in
`jaxrm.load_clip` and in torch's `CLIPModel`.

- **Command**: `{command}`
- **Data**: {images:,} frames of {size} px, each drawn once: half postures sampled between named ones, half
  from a pool of {pool:,} states of bodies under physics. Captions come from measured geometry, each with a
  graded degree of truth. No file, no photograph, no text of others.
- **Time**: {minutes:.0f} minutes on {device}.
- **Look**: `{look}` shows the frames it knows (SHA-256 {digest}...). Another skin, light or
  lens is another world.

## Measured quality

Held-out states, half of them under physics, all cameras of training. ROC-AUC of a prompt's cosine against the
measured predicate (worst {worst:.3f}; nan: no such state among them):

| prompt | AUC |
|---|---|
{rows}

Rank correlation of the cosine with the way along the straight joint-space path from standing, from the tasks'
own camera (`paths.png`):

| prompt | Spearman |
|---|---|
{slopes}

## Limits

It tells postures and arm states of this humanoid apart and ranks what lies between. It knows no negation, no
left and right beyond "with its left arm raised", no other body, no words outside `training_words.json`, and
says nothing of penetration or straightness. The cosine is a reward for postures, not a probability.
"""


def path_frames(env: Humanoid, size: int, points: int = 25) -> UInt8[Array, "paths points size size 3"]:
    """Frames on the straight joint-space paths from standing to each of `PATHS`, feet kept on the floor."""
    sampler = Sampler(env)
    arms = sampler.arm_joints("hanging")
    start = sampler.leg_joints("standing") + arms
    ends = jnp.stack([sampler.leg_joints(name) + arms for name in PATHS])
    leans = jnp.deg2rad(jnp.array([LEGS[name].lean for name in PATHS]))

    def frame(end: Array, lean: Array, share: Array) -> Array:
        zero = jnp.zeros(())
        qpos = sampler.qpos(start + share * (end - start), share * lean, zero, zero, zero)
        return render(env.scene, env.view(env.pose_at(qpos), CAMERA), height=size, width=size)

    along = jax.vmap(frame, in_axes=(None, None, 0))
    return jax.jit(jax.vmap(along, in_axes=(0, 0, None)))(ends, leans, jnp.linspace(0, 1, points))


def path_scores(clip: ClipCheckpoint, env: Humanoid) -> dict[str, Float[np.ndarray, "points"]]:
    """Cosine of each path's frames with the sentence for its end."""
    goals = [f"a humanoid robot {phrase}" for phrase in PATHS.values()]
    images = clip.embed_images(path_frames(env, clip.processor.images.size))
    scores = np.asarray(jnp.einsum("gpd,gd->gp", images, clip.embed_texts(goals)))
    return dict(zip(goals, scores, strict=True))


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
        labels = np.asarray(jax.vmap(partial(holds, wanted))(batch.measures))
        result[goal] = roc_auc(images @ np.asarray(clip.embed_texts([goal])[0]), labels)
    return result


def look(env: Humanoid, size: int) -> UInt8[np.ndarray, "size width 3"]:
    """Frames of a few named postures side by side: the look that a model was trained on."""
    sampler, zero = Sampler(env), jnp.zeros(())
    qpos = [
        sampler.qpos(
            sampler.leg_joints(legs) + sampler.arm_joints(arms),
            jnp.deg2rad(LEGS[legs].lean),
            zero,
            jnp.float32(turn),
            zero,
        )
        for legs, arms, turn in GOLDEN
    ]
    draw = jax.jit(
        jax.vmap(lambda q: render(env.scene, env.view(env.pose_at(q), CAMERA), height=size, width=size))
    )
    return np.concatenate(list(np.asarray(draw(jnp.stack(qpos)))), axis=1)


def write(clip: ClipCheckpoint, env: Humanoid, config: Any, key: Array, seconds: float) -> None:
    """Judges the model; writes its card, the look it knows and a plot of its paths beside the weights."""
    size = clip.processor.images.size
    auc, paths = held_out(clip, env, key), path_scores(clip, env)
    image = look(env, size)
    iio.imwrite(config.out / LOOK, image)
    _plot_paths(paths, config.out / "paths.png")
    rows = "\n".join(f"| {goal} | {value:.3f} |" for goal, value in auc.items())
    slopes = "\n".join(f"| {goal} | {spearman(s, np.arange(len(s))):.3f} |" for goal, s in paths.items())
    parameters = sum(x.size for x in jax.tree.leaves(clip.model))
    options = " ".join(
        f"--{field.name.replace('_', '-')}" + ("" if value is True else f" {value}")
        for field in dataclasses.fields(config)
        if (value := getattr(config, field.name)) != field.default
    )
    (config.out / "README.md").write_text(
        CARD.format(
            name=config.out.name,
            millions=parameters / 1e6,
            command=f"python -m train clip {options}".strip(),
            images=config.images,
            pool=config.pool,
            size=size,
            minutes=seconds / 60,
            device=f"{jax.default_backend()}, {jax.device_count()} device(s), {os.cpu_count()} host cores",
            rows=rows,
            slopes=slopes,
            worst=min(value for value in auc.values() if np.isfinite(value)),
            look=LOOK,
            digest=hashlib.sha256(image.tobytes()).hexdigest()[:16],
        )
    )


def _plot_paths(paths: dict[str, Float[np.ndarray, "points"]], path: Path) -> None:
    figure, axis = plt.subplots(figsize=(6, 3.5), layout="constrained")
    for goal, scores in paths.items():
        axis.plot(np.linspace(0, 1, len(scores)), scores, label=goal)
    axis.set(xlabel="share of the way from standing to the posture", ylabel="cosine with the sentence")
    axis.legend(fontsize=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)
