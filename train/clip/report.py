"""The model card of a small CLIP: how it was made, the look it knows, what it is good for and what not."""

import hashlib
import json
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

from envs.humanoid.env import Humanoid
from envs.humanoid.postures import LEGS, Sampler
from envs.humanoid.tasks import CAMERA
from jaxrm.render import render
from jaxrm.weights.clip import ClipCheckpoint
from jaxrm.weights.files import write_json
from train.clip import classic_judge, judge
from train.origin import origin

LOOK, PATHS, TRAINING, FIGURES = "look.png", "paths.png", "training.json", "figures.json"
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

A CLIP of {millions:.2f}M parameters (vision and text) that knows one humanoid in one scene and three scenes
of classic control, and nothing of the world. It was trained from random weights on frames drawn by this
project's own renderer; it loads in `jaxrm.load_clip` and in torch's `CLIPModel`.

- **Command**: `{command}`
- **Data**: {images:,} frames of {size} px, each drawn once: a third postures sampled between named ones, two
  thirds from a pool of {pool:,} states, half of them pulled towards what a caption claims, the tasks' most,
  half of bodies under physics that aim at one posture after another, most with noise in every action; also 5
  frames in 32 of cart and pole, car and mountain, and pendulum, in any state. Cameras, the sun's place,
  light, colours and girth vary. Captions come from measured geometry, each with a graded degree of truth. No
  file, no photograph, no text of others.
- **Time**: {minutes:.0f} minutes on {device}.{note}
- **Look**: `{look}` shows the frames it knows (SHA-256 {digest}...). Another skin is another world.

## Measured quality

On {states:,} states of other seeds: a third sampled, a third pulled towards claims, a third under physics,
and some {of_each_task} more pulled to each task; all cameras and looks of training. ROC-AUC of a prompt's
cosine against the measured predicate.

{figures}

### A way from standing

Rank correlation of the cosine with the way along the straight joint-space path from standing, from the task's
own camera (`{paths}`).

| sentence | Spearman |
|---|---|
{slopes}

### Classic control

On 1,024 states of each scene, any on the rail, the road and the circle, camera and light a little off:
ROC-AUC of the cosine with the task's sentence against success, its rank correlation with how true the
sentence is, and ROC-AUC of "not ...".

| scene | AUC | Spearman | AUC of "not ..." |
|---|---|---|---|
{classic}

### Every prompt

| sentence | AUC |
|---|---|
{rows}

## Limits

It tells postures, arm states and tilts of this humanoid apart and ranks what lies between; of classic control
it knows cart and pole, car and mountain, and the pendulum. It knows no other body and no words outside
`training_words.json`. Limbs inside each other and bodies off the floor count against a posture as far as
{size} pixels show them. The cosine is a reward for postures, not a probability.
"""


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


def write_training(config: Any, seen: int, seconds: float) -> None:
    """Keeps beside the weights how they were made, of as many frames as they have `seen`."""
    stopped = f" It was stopped there, of {config.images:,}." if seen < config.images else ""
    made = origin("clip", config, seconds) | {"images": seen, "pool": config.pool, "note": stopped}
    (config.out / TRAINING).write_text(json.dumps(made, indent=1) + "\n")


def read_training(folder: Path) -> dict[str, Any]:
    """How the weights in a folder were made.

    Raises:
      FileNotFoundError: it does not say, or not by what frames.
    """
    for name in (TRAINING, LOOK):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder / name} is missing: was it trained here?")
    return json.loads((folder / TRAINING).read_text())


def write_taught(config: Any, made: dict[str, Any], seconds: float) -> None:
    """The same of weights whose text tower learnt more words since, from those that were `made` so."""
    how = origin("words", config, seconds, without=("start", "out", "overwrite"))
    taught = (
        f" Its text tower then learnt {config.sentences:,} wordings without frames, as it heard the plainest "
        f"(`{how['command']}`, {how['minutes']:.0f} minutes)."
    )
    write_json(config.out / TRAINING, made | {"note": made["note"] + taught})


def write_look(env: Humanoid, folder: Path, size: int) -> None:
    """Keeps beside the weights what they were trained on: later changes of the look are set against it."""
    iio.imwrite(folder / LOOK, look(env, size))


def discard(folder: Path) -> None:
    """Removes what was said of other weights: a training that is stopped leaves new ones without a card."""
    for name in ("README.md", FIGURES, PATHS):
        (folder / name).unlink(missing_ok=True)


def write(clip: ClipCheckpoint, env: Humanoid, folder: Path, key: Array, states: int = 8192) -> None:
    """Judges the model; writes its card, its figures and a plot of its paths beside the weights."""
    size = clip.processor.images.size
    quality, image = judge.judge(clip, env, key, states), iio.imread(folder / LOOK)
    classic = classic_judge.judge(clip, key)
    write_json(folder / FIGURES, rounded(judge.judge_sampled(clip, env)))
    _plot_paths(quality.paths, folder / PATHS)
    parameters = sum(x.size for x in jax.tree.leaves(clip.model))
    (folder / "README.md").write_text(
        CARD.format(
            name=folder.name,
            millions=parameters / 1e6,
            **read_training(folder),
            size=size,
            states=states,
            of_each_task=judge.OF_EACH_TASK,
            figures=summary(quality),
            rows=_rows(quality.prompts),
            classic=_classic_rows(classic),
            slopes=_rows(judge.slopes(quality)),
            look=LOOK,
            paths=PATHS,
            digest=hashlib.sha256(image.tobytes()).hexdigest()[:16],
        )
    )


def rounded(quality: judge.Quality) -> dict[str, dict[str, float | None]]:
    """By kind and sentence; None where too few states are true."""
    kinds = {name: value for name, value in quality._asdict().items() if name != "paths"}
    return {
        kind: {sentence: round(x, 4) if np.isfinite(x) else None for sentence, x in found.items()}
        for kind, found in kinds.items()
    }


def _rows(figures: dict[str, float]) -> str:
    return "\n".join(f"| {sentence} | {value:.3f} |" for sentence, value in figures.items())


def _classic_rows(scenes: dict[str, classic_judge.ClassicQuality]) -> str:
    return "\n".join(
        f"| {name} | {quality.auc:.3f} | {quality.slope:.3f} | {quality.negations:.3f} |"
        for name, quality in scenes.items()
    )


def summary(quality: judge.Quality) -> str:
    """Mean and worst of each kind, as a table."""
    kinds = {
        "every posture, arm state, tilt and task": quality.prompts,
        "the same, without states that miss by less than one slack": quality.clear,
        "postures with arms that no caption of training claimed": quality.combinations,
        '"not ..."': quality.denials,
        '"kneeling, not standing", and so on': quality.contrasts,
        "left or right": quality.sides,
        f"{judge.WORDINGS} wordings that were kept out: mean Spearman between them": quality.wordings,
        "sentences that no caption is: mean Spearman with the task's own": quality.paraphrases,
    }
    lines = ["| | mean | worst | |", "|---|---|---|---|"]
    for kind, figures in kinds.items():
        known = {sentence: value for sentence, value in figures.items() if np.isfinite(value)}
        if not known:
            lines.append(f"| {kind} | - | - | true of too few states |")
            continue
        worst = min(known, key=known.__getitem__)
        few = len(figures) - len(known)
        left_out = f"; {few} left out, true of too few states" if few else ""
        mean = np.mean(list(known.values()))
        lines.append(f"| {kind} | {mean:.3f} | {known[worst]:.3f} | {worst}{left_out} |")
    return "\n".join(lines)


def _plot_paths(paths: dict[str, Float[np.ndarray, "points"]], path: Path) -> None:
    figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
    for goal, scores in paths.items():
        axis.plot(np.linspace(0, 1, len(scores)), scores, label=goal.removeprefix("a humanoid robot "))
    axis.set(xlabel="share of the way from standing to the posture", ylabel="cosine with the sentence")
    axis.legend(fontsize=7)
    figure.savefig(path, dpi=120)
    plt.close(figure)
