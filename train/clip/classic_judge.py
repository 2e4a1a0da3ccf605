"""What a small CLIP knows of the scenes of classic control: who succeeds, and where the reward rises."""

from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array

from envs import classic_captions
from envs.cartpole import CAMERAS
from envs.classic import ClassicControl
from envs.classic_captions import Topic
from jaxrm.metrics import roc_auc, spearman
from jaxrm.weights.clip import ClipCheckpoint
from train.clip import classic_scenes


class ClassicQuality(NamedTuple):
    """Of one scene: does the cosine with the task's sentence tell success, and does it rise towards it?

    Attributes:
      auc: ROC-AUC of the cosine against the task's predicate, over any states.
      slope: Spearman rank correlation of the cosine with how true the sentence is, over the same states.
      negations: ROC-AUC of "not ..." against the predicate's opposite.
    """

    auc: float
    slope: float
    negations: float


def judge(clip: ClipCheckpoint, key: Array, count: int = 1024) -> dict[str, ClassicQuality]:
    """Every look and camera, on `count` states each, the camera and the light a little off."""
    quality = {}
    for topic, envs in classic_captions.scenes().items():
        for env in envs:
            quality[_name(env)] = _judge_one(clip, env, topic, jax.random.fold_in(key, len(quality)), count)
    return quality


def _name(env: ClassicControl) -> str:
    cameras = {camera: name for name, camera in CAMERAS.items()}
    return f"{env.name}, camera {cameras[env.camera]}" if env.camera in cameras else env.name


def _judge_one(
    clip: ClipCheckpoint, env: ClassicControl, topic: Topic, key: Array, count: int
) -> ClassicQuality:
    draw = jax.jit(jax.vmap(partial(classic_scenes.draw_one, env, topic, size=clip.processor.images.size)))
    drawn = draw(jax.random.split(key, count))
    images = np.asarray(clip.embed_images(drawn.frames))
    said = topic.claims().wordings
    goal, denial = said[1][0], said[1 + len(topic.concepts)][0]
    scores, denied = np.asarray(clip.embed_texts([goal, denial])) @ images.T
    holds = np.asarray(jax.vmap(lambda qpos: env.success(env.pose_at(qpos)))(drawn.qpos))
    return ClassicQuality(
        roc_auc(scores, holds),
        spearman(scores, -np.asarray(drawn.misses[:, 0])),
        roc_auc(denied, ~holds),
    )
