"""What a small CLIP has learned, judged on scenes that it never saw."""

import itertools
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, UInt8

from envs.claims import is_held_out
from envs.criteria import Bound, miss
from envs.humanoid import captions
from envs.humanoid.concepts import ARMS, NAMED, POSTURES, SIDES, SOUND
from envs.humanoid.env import Humanoid
from envs.humanoid.measure import Measures
from envs.humanoid.paraphrases import PARAPHRASES
from envs.humanoid.postures import LEGS, Sampler
from envs.humanoid.tasks import CAMERA, TASKS
from envs.humanoid.words import WORDS
from jaxrm.metrics import roc_auc, spearman
from jaxrm.render import Camera, render
from jaxrm.weights.clip import ClipCheckpoint
from jaxrm.weights.tokens import words_of
from train import scenes
from train.rl.folder import RunFolder

PATHS = {  # sentence -> (legs, arms) of the pose at the end of the way from standing
    TASKS["kneeling"].goal: ("kneeling", "hanging"),
    TASKS["lotus"].goal: ("lotus", "loose"),
    TASKS["arms-raised"].goal: ("standing", "raised"),
    TASKS["splits"].goal: ("splits", "sideways"),
    TASKS["hands-on-hips"].goal: ("standing", "at the hips"),
    TASKS["one-leg"].goal: ("right leg up", "hanging"),
    TASKS["arms-crossed"].goal: ("standing", "crossed"),
    "a humanoid robot sitting on the floor": ("sitting", "hanging"),
    "a humanoid robot squatting": ("squatting", "hanging"),
}
# The same for the pairs that no caption of training claims, but two whose arms have no name of their own.
UNCLAIMED = (
    ("kneeling", "sideways"), ("sitting", "raised"), ("squatting", "ahead"), ("right leg up", "at the hips"),
    ("lotus", "crossed"), ("bending", "hanging"), ("right foot ahead", "raised"), ("on the back", "sideways"),
)  # fmt: skip
SUBJECT = "a humanoid robot"
WORDINGS = 10  # of a posture, to see whether they rank states alike
FEWEST = 8  # true states without which an AUC is left out
CLEAR = 1.0  # a miss of one slack: mostly 15 to 30 cm or some 15 degrees beyond one bound
OF_EACH_TASK = 64
SAMPLED, SAMPLED_SEED = 1536, 11  # states of the figures that the tests measure again
POSED, POSED_NOISE = 32, 0.04  # of each of `PATHS` and `UNCLAIMED`, and what is added to their joints, rad


class Quality(NamedTuple):
    """Figures of one model; sentence -> figure.

    Attributes:
      prompts: ROC-AUC of a prompt's cosine against the measured predicate, of all concepts and tasks.
      clear: the same without states that miss the predicate by less than `CLEAR`.
      combinations: ROC-AUC of postures with arms that no caption of training claimed.
      denials: of "not ...", among all states.
      contrasts: of "kneeling, not standing", against kneeling: which of the two it is that is denied.
      sides: of a sentence that names a side, among states of either side.
      wordings: mean rank correlation between sentences for one posture that were never trained on.
      paraphrases: mean rank correlation of sentences that no caption is with the task's own.
      paths: cosines along the way from standing to a pose.
    """

    prompts: dict[str, float]
    clear: dict[str, float]
    combinations: dict[str, float]
    denials: dict[str, float]
    contrasts: dict[str, float]
    sides: dict[str, float]
    wordings: dict[str, float]
    paraphrases: dict[str, float]
    paths: dict[str, Float[np.ndarray, "points"]]


class Seen(NamedTuple):
    """Embedded frames, and what was measured in them."""

    clip: ClipCheckpoint
    images: Float[np.ndarray, "n d"]
    measures: Measures

    def scores(self, sentence: str) -> Float[np.ndarray, "n"]:
        return self.images @ np.asarray(self.clip.embed_texts([sentence])[0])

    def known(self, sentences: Sequence[str]) -> list[str]:
        """Those that have no word that the model never saw."""
        taught = self.clip.processor.training_words
        return [s for s in sentences if taught is None or taught.words >= set(words_of(s))]

    def misses(self, bounds: tuple[Bound, ...]) -> Float[np.ndarray, "n"]:
        return np.asarray(jax.vmap(partial(miss, bounds))(self.measures))

    def labels(self, bounds: tuple[Bound, ...]) -> Bool[np.ndarray, "n"]:
        return self.misses(bounds) == 0


def judge(clip: ClipCheckpoint, env: Humanoid, key: Array, count: int = 8192) -> Quality:
    """All figures, on `count` states of `held_out_states` and those of `task_states`."""
    key_states, key_tasks, key_draw = jax.random.split(key, 3)
    states = [held_out_states(env, key_states, count), task_states(env, key_tasks)]
    return judge_states(clip, env, jnp.concatenate(states), key_draw)


def judge_sampled(clip: ClipCheckpoint, env: Humanoid) -> Quality:
    """All figures on a few sampled and posed states, always the same: what a change of the renderer or of the
    look must leave as it is."""
    key_states, key_draw = jax.random.split(jax.random.key(SAMPLED_SEED))
    sampled = jax.jit(jax.vmap(Sampler(env).sample))(jax.random.split(key_states, SAMPLED))
    posed = posed_states(env, jax.random.fold_in(key_states, POSED))
    return judge_states(clip, env, jnp.concatenate([sampled, posed]), key_draw)


def posed_states(env: Humanoid, key: Array) -> Float[Array, "n nq"]:
    """Near what tasks and held-out pairs ask for, of which few sampled states are: named joints and noise."""
    sampler, named = Sampler(env), (*PATHS.values(), *UNCLAIMED)
    joints = jnp.stack([sampler.leg_joints(legs) + sampler.arm_joints(arms) for legs, arms in named])
    leans = jnp.deg2rad(jnp.array([LEGS[legs].lean for legs, _ in named]))
    joints, leans = jnp.repeat(joints, POSED, axis=0), jnp.repeat(leans, POSED)
    joints = joints + POSED_NOISE * jax.random.normal(key, joints.shape)
    zeros = jnp.zeros_like(leans)
    return jax.jit(jax.vmap(sampler.qpos))(joints, leans, zeros, zeros, zeros)


def task_states(env: Humanoid, key: Array) -> Float[Array, "n nq"]:
    """About `OF_EACH_TASK` states pulled to each task, of which few others are."""
    parts = np.array([captions.parts_of(task.posture, task.arms) for task in TASKS.values()])
    return scenes.pulled_states(env, key, OF_EACH_TASK * len(parts), parts)


def held_out_states(env: Humanoid, key: Array, count: int) -> Float[Array, "n nq"]:
    """A third sampled, a third pulled to claims, a third under physics."""
    key_sample, key_pool = jax.random.split(key)
    sampled = jax.jit(jax.vmap(Sampler(env).sample))(jax.random.split(key_sample, count // 3))
    return jnp.concatenate([sampled, scenes.state_pool(env, key_pool, count - count // 3)])


def states_of_runs(runs: Sequence[Path], count: int, seed: int) -> Float[np.ndarray, "n nq"]:
    """About `count` states that the last policies of finished runs came through, as many of each run.

    Raises:
      FileNotFoundError: there is no such run, or it has no rollouts yet.
      ValueError: a run is of another body.
    """
    rng, each = np.random.default_rng(seed), -(-count // len(runs))
    states = []
    for run in runs:
        folder = RunFolder(run)
        if not (task := folder.read_config().task).startswith("humanoid/"):
            raise ValueError(f"{str(run)!r} is of {task!r}, not of the humanoid")
        if not folder.rollouts.is_file():
            raise FileNotFoundError(f"{str(folder.rollouts)!r} is missing: is the run finished?")
        with np.load(folder.rollouts) as arrays:
            qpos = arrays["qpos"][arrays["alive"]]
        states.append(rng.choice(qpos, min(each, len(qpos)), replace=False))
    return np.concatenate(states)


def see(clip: ClipCheckpoint, env: Humanoid, qpos: Float[Array, "n nq"], key: Array) -> Seen:
    """States drawn from a random camera each, and embedded."""
    size = clip.processor.images.size
    batch = jax.lax.map(
        lambda x: scenes.draw_one(env, x[0], x[1], size),
        (qpos, jax.random.split(key, len(qpos))),
        batch_size=512,
    )
    return Seen(clip, np.asarray(clip.embed_images(batch.frames)), batch.measures)


def judge_states(clip: ClipCheckpoint, env: Humanoid, qpos: Float[Array, "n nq"], key: Array) -> Quality:
    """The same on given states, each drawn from a random camera."""
    seen = see(clip, env, qpos, key)
    prompts, clear = _prompts(seen)
    return Quality(
        prompts=prompts,
        clear=clear,
        combinations=_combinations(seen),
        denials=_denials(seen),
        contrasts=_contrasts(seen),
        sides=_sides(seen),
        wordings=_wordings(seen),
        paraphrases=_paraphrases(seen),
        paths=path_scores(clip, env),
    )


def _auc(scores: Float[np.ndarray, "n"], labels: Bool[np.ndarray, "n"]) -> float:
    """nan where too few states are true for a figure."""
    return roc_auc(scores, labels) if min(labels.sum(), (~labels).sum()) >= FEWEST else float("nan")


def _prompts(seen: Seen) -> tuple[dict[str, float], dict[str, float]]:
    """Against the predicate, of all states and of those that do not miss it by less than `CLEAR`."""
    bounds = {task.goal: task.bounds for task in TASKS.values()}
    for name, concept in NAMED.items():
        bounds.setdefault(f"{SUBJECT} {WORDS[name].phrases[0]}", concept + SOUND * (name in POSTURES))
    every, clear = {}, {}
    for sentence, wanted in bounds.items():
        misses, scores = seen.misses(wanted), seen.scores(sentence)
        judged = (misses == 0) | (misses > CLEAR)
        every[sentence] = _auc(scores, misses == 0)
        clear[sentence] = _auc(scores[judged], misses[judged] == 0)
    return every, clear


def _combinations(seen: Seen) -> dict[str, float]:
    result = {}
    for posture, arms in sorted(captions.HELD_OUT):
        sentence = f"{SUBJECT} {WORDS[posture].phrases[0]}, {WORDS[arms].phrases[0]}"
        labels = seen.labels(POSTURES[posture] + ARMS[arms] + SOUND)
        result[sentence] = _auc(seen.scores(sentence), labels)
    return result


def _denials(seen: Seen) -> dict[str, float]:
    result = {}
    for name in (*POSTURES, *ARMS):
        sentence = f"{SUBJECT} {captions.phrases_of(captions.Part(name, negated=True))[0]}"
        result[sentence] = _auc(seen.scores(sentence), ~seen.labels(NAMED[name]))
    return result


def _contrasts(seen: Seen) -> dict[str, float]:
    """Of pairs that both are postures of their own: who is in one is not in the other."""
    result = {}
    for posture, other in itertools.permutations(captions.TOLD_APART, 2):
        denied = captions.phrases_of(captions.Part(other, negated=True))[0]
        sentence = f"{SUBJECT} {WORDS[posture].phrases[0]}, {denied}"
        result[sentence] = _auc(seen.scores(sentence), seen.labels(POSTURES[posture] + SOUND))
    return result


def _sides(seen: Seen) -> dict[str, float]:
    result = {}
    for name, concept in NAMED.items():
        side = next((side for side in SIDES if side in name.split("-")), None)
        if side is None:
            continue
        other = SIDES[1 - SIDES.index(side)]
        mine, theirs = seen.labels(concept), seen.labels(NAMED[name.replace(side, other)])
        either = mine ^ theirs
        sentence = f"{SUBJECT} {WORDS[name].phrases[0]}"
        result[sentence] = _auc(seen.scores(sentence)[either], mine[either])
    return result


def _wordings(seen: Seen) -> dict[str, float]:
    result = {}
    for task in TASKS.values():
        unseen = seen.known([s for s in captions.claim(task.posture, task.arms) if is_held_out(s)])
        unseen = sorted(unseen, key=lambda s: zlib.crc32(s[::-1].encode()))[:WORDINGS]
        scores = [seen.scores(sentence) for sentence in unseen]
        alike = [spearman(a, b) for a, b in itertools.combinations(scores, 2)]
        result[task.goal] = float(np.mean(alike)) if alike else float("nan")
    return result


def _paraphrases(seen: Seen) -> dict[str, float]:
    """Of those whose words the model knows; nan where there is none."""
    result = {}
    for name, sentences in PARAPHRASES.items():
        own = seen.scores(TASKS[name].goal)
        alike = [spearman(own, seen.scores(sentence)) for sentence in seen.known(sentences)]
        result[TASKS[name].goal] = float(np.mean(alike)) if alike else float("nan")
    return result


def path_frames(env: Humanoid, size: int, points: int = 25) -> UInt8[Array, "paths points size size 3"]:
    """Frames on the straight joint-space ways from standing to each of `PATHS`, feet kept on the floor."""
    sampler = Sampler(env)
    start = sampler.leg_joints("standing") + sampler.arm_joints("hanging")
    ends = jnp.stack([sampler.leg_joints(legs) + sampler.arm_joints(arms) for legs, arms in PATHS.values()])
    leans = jnp.deg2rad(jnp.array([LEGS[legs].lean for legs, _ in PATHS.values()]))
    cameras = [{task.goal: task.camera for task in TASKS.values()}.get(goal, CAMERA) for goal in PATHS]
    camera = jax.tree.map(lambda *leaves: jnp.stack(leaves), *cameras)

    def frame(end: Array, lean: Array, camera: Camera, share: Array) -> Array:
        zero = jnp.zeros(())
        qpos = sampler.qpos(start + share * (end - start), share * lean, zero, zero, zero)
        return render(env.scene, env.view(env.pose_at(qpos), camera), height=size, width=size)

    along = jax.vmap(frame, in_axes=(None, None, None, 0))
    return jax.jit(jax.vmap(along, in_axes=(0, 0, 0, None)))(ends, leans, camera, jnp.linspace(0, 1, points))


def path_scores(clip: ClipCheckpoint, env: Humanoid) -> dict[str, Float[np.ndarray, "points"]]:
    """Cosine of each path's frames with the sentence for its end."""
    images = clip.embed_images(path_frames(env, clip.processor.images.size))
    scores = np.asarray(jnp.einsum("gpd,gd->gp", images, clip.embed_texts(list(PATHS))))
    return dict(zip(PATHS, scores, strict=True))


def slopes(quality: Quality) -> dict[str, float]:
    """Rank correlation of the cosine with the way along each path."""
    return {goal: spearman(scores, np.arange(len(scores))) for goal, scores in quality.paths.items()}
