"""The small CLIP that comes with us: its vocabulary, its targets, and what the shipped weights know."""

import dataclasses
import json
import re

import imageio.v3 as iio
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from optax.contrib import MuonDimensionNumbers

import jaxrm
from envs.humanoid import captions, tasks
from envs.humanoid.postures import LEGS, Sampler
from jaxrm.metrics import spearman
from jaxrm.weights import files
from train import scenes
from train.clip import classic_judge, muon
from train.clip import config as clip_config
from train.clip import judge as clip_judge
from train.clip import main as program
from train.clip import report as clip_report
from train.clip import start as clip_start
from train.clip import update as clip_update
from train.rl.config import OURS, PolicyConfig
from train.rl.folder import RunFolder
from train.vocabulary import END, START, respelt, train_tokenizer


@pytest.fixture(scope="module")
def env():
    return tasks.factory("kneeling")()


@pytest.fixture(scope="module")
def scene_clip():
    return jaxrm.load_clip("scene-clip")


def test_the_end_of_a_text_is_the_largest_id():
    tokenizer = train_tokenizer(["a robot kneeling", "a robot standing"])
    ids = tokenizer.encode("A  robot   KNEELING").ids
    assert ids[0] == tokenizer.token_to_id(START) and ids[-1] == tokenizer.token_to_id(END)
    assert tokenizer.token_to_id(END) == tokenizer.get_vocab_size() - 1 == max(ids)
    assert tokenizer.decode(ids).strip() == "a robot kneeling"


def test_the_same_captions_give_the_same_tokeniser():
    texts = captions.claims().wordings[3]
    assert train_tokenizer(texts).to_str() == train_tokenizer(reversed(texts)).to_str()


def test_the_loss_is_zero_where_the_logits_are_the_targets():
    """At similarity s and bias 0 the least loss is at targets sigmoid(scale * s), and it is 0 there."""

    class Vision:
        def features(self, pixels):
            return jnp.array([[[1.0, 0.0], [0.0, 2.0]], [[0.6, 0.8], [0.0, 2.0]]])

    class OneDirection:
        logit_scale = np.log(2.0)[None]
        vision = Vision()

        def vision_projection(self, x):
            return x

    pixels, sentences = jnp.zeros((2, 64, 64, 3)), jnp.array([[1.0, 0.0]])
    last_token = jnp.zeros((4, 5)).at[3].set(1.0)
    weights = {
        "clip": OneDirection(),
        "bias": jnp.float32(0),
        "measures": jnp.zeros((2, 3)),
        "places": last_token,
    }
    targets = jax.nn.sigmoid(2.0 * jnp.array([[1.0], [0.6]]))
    known = jnp.array([True, False])
    shown = clip_update.Shown(pixels, targets, jnp.ones((2, 3)), jnp.full((2, 5), 4.0), known)
    loss = clip_update.pair_and_read_losses(weights, pixels, sentences, shown)
    np.testing.assert_allclose(loss, [[0.0, 1.0, 4.0], [0.0, 0.0, 0.0]], atol=1e-6)
    worse = clip_update.pair_and_read_losses(weights, pixels, sentences, shown._replace(degrees=1 - targets))
    assert float(worse[:, 0].min()) > 0.1


def test_muon_moves_the_matrices_of_the_blocks_alone(scene_clip):
    """A matrix of a layer moves along its own axes; embeddings, norms, biases and read-outs are AdamW's."""
    weights = {"clip": scene_clip.model, "places": jnp.zeros((8, 8))}
    axes = muon.matrices(weights)
    chosen = {
        jax.tree_util.keystr(path).removesuffix(".value"): (shape.reduction_axis, shape.output_axis)
        for path, shape in jax.tree_util.tree_leaves_with_path(
            axes, is_leaf=lambda x: isinstance(x, MuonDimensionNumbers)
        )
    }
    blocks = [f"['clip'].{tower}.transformer.blocks" for tower in ("vision", "text")]
    last = {"attention.qkv": 3, "attention.out": 2, "mlp.up": 2, "mlp.down": 2}
    assert chosen == {f"{at}.{part}.kernel": ((1,), (axis,)) for at in blocks for part, axis in last.items()}


def test_a_locked_image_tower_is_all_that_frames_go_through(scene_clip):
    """Text, temperature and read-outs go on learning; what embeds frames does not."""
    weights = {"clip": scene_clip.model, "bias": jnp.float32(1), "places": jnp.ones((2, 2))}
    changed = clip_update.of_images(jnp.zeros_like, weights)
    pixels = jnp.ones((1, 64, 64, 3))
    assert not np.asarray(changed["clip"].encode_pixels(pixels)).any()
    tokens = jnp.asarray(scene_clip.processor.tokenize(["a humanoid robot kneeling"]))
    np.testing.assert_array_equal(
        changed["clip"].encode_tokens(tokens), scene_clip.model.encode_tokens(tokens)
    )
    assert changed["bias"] == 1 and changed["places"].all()
    assert changed["clip"].logit_scale[...] == scene_clip.model.logit_scale[...]
    with pytest.raises(ValueError, match="name one with --start"):
        clip_config.ClipConfig(lock_images=True).validate(1)


def test_states_of_runs_are_those_that_counted_as_many_of_each(tmp_path):
    a, b, other = (RunFolder(tmp_path / name) for name in ("a", "b", "other"))
    for folder, value, alive in ((a, 1.0, 8), (b, 2.0, 3)):
        folder.create(PolicyConfig("humanoid/kneeling"))
        qpos = np.full((2, 8, 24), value)
        qpos[:, alive:] = np.nan
        np.savez(folder.rollouts, qpos=qpos, alive=np.broadcast_to(np.arange(8) < alive, (2, 8)))
    states = clip_judge.states_of_runs([a.path, b.path], 20, seed=0)
    assert sorted(states[:, 0]) == [1.0] * 10 + [2.0] * 6  # the second has no more
    b.rollouts.unlink()
    with pytest.raises(FileNotFoundError, match=r"b.rollouts.npz' is missing"):
        clip_judge.states_of_runs([b.path], 20, seed=0)
    other.create(PolicyConfig("pendulum"))
    with pytest.raises(ValueError, match="'pendulum', not of the humanoid"):
        clip_judge.states_of_runs([other.path], 20, seed=0)


@pytest.mark.parametrize("wrong", [{"images": 100}, {"texts": 63}, {"batch": 3, "images": 150}])
def test_a_batch_must_divide(wrong):
    with pytest.raises(ValueError, match=r"images is 100|texts is 63|batch is 3"):
        clip_config.ClipConfig(**wrong).validate(2)


def test_the_renderer_still_draws_the_look_that_the_weights_know(env, scene_clip):
    """Whoever changes the look trains the weights again: `python -m train clip`."""
    now = clip_report.look(env, scene_clip.processor.images.size).astype(int)
    for name in OURS:
        known = iio.imread(files.find(name) / clip_report.LOOK).astype(int)
        assert known.shape == now.shape
        changed = f"the look of the scene changed: train {name} again"
        assert np.abs(known - now).mean() < 0.25, changed
        assert (np.abs(known - now).max(-1) > 8).mean() < 0.002, changed


@pytest.fixture(scope="module")
def slopes(env, scene_clip):
    scores = clip_judge.path_scores(scene_clip, env)
    return {goal: spearman(values, np.arange(len(values))) for goal, values in scores.items()}


@pytest.mark.parametrize("goal", clip_judge.PATHS)
def test_the_reward_rises_from_standing_to_each_posture(slopes, goal):
    assert slopes[goal] >= 0.85


def test_the_ways_end_where_the_tasks_succeed():
    for name, task in tasks.TASKS.items():
        if task.goal in clip_judge.PATHS:
            env = tasks.factory(name)()
            sampler, zero = Sampler(env), jnp.zeros(())
            legs, arms = clip_judge.PATHS[task.goal]
            joints = sampler.leg_joints(legs) + sampler.arm_joints(arms)
            qpos = sampler.qpos(joints, jnp.deg2rad(LEGS[legs].lean), zero, zero, zero)
            assert env.success(env.pose_at(qpos)), name


@pytest.fixture(scope="module", params=OURS)
def judged(request, env):
    return request.param, clip_judge.judge_sampled(jaxrm.load_clip(request.param), env)


def test_what_the_weights_tell_apart_is_as_good_as_when_they_were_judged(judged):
    """Every sentence: postures, arms, pairs never claimed, denials, sides, other wordings. On sampled states
    alone: those pulled to claims and under physics are in the slow test."""
    name, quality = judged
    known = json.loads((files.find(name) / clip_report.FIGURES).read_text())
    for kind, figures in clip_report.rounded(quality).items():
        assert figures.keys() == known[kind].keys()
        for sentence, figure in figures.items():
            before = known[kind][sentence]
            assert (figure is None) == (before is None), sentence
            assert figure is None or figure >= before - 0.02, (kind, sentence, figure, before)
    told = clip_report.rounded(quality)
    assert all(told["prompts"][task.goal] for task in tasks.TASKS.values())
    assert sum(figure is not None for figure in told["combinations"].values()) >= 6
    assert quality.prompts[tasks.TASKS["kneeling"].goal] >= 0.95
    assert np.nanmean(list(quality.prompts.values())) >= 0.95
    legs = [auc for goal, auc in quality.sides.items() if "leg" in goal or "leaning" in goal]
    assert min(legs) >= 0.95
    if name == "scene-clip":  # the other never heard most wordings
        assert min(quality.wordings.values()) >= 0.95


def test_the_reward_tells_who_succeeds_in_classic_control(scene_clip):
    """Every look and camera: the card's figures, on fewer states of another seed."""
    for name, quality in classic_judge.judge(scene_clip, jax.random.key(11), count=256).items():
        assert quality.auc >= (0.7 if "camera" in name else 0.85), name
        assert quality.slope >= (0.7 if "camera" in name else 0.85), name


@pytest.mark.slow
def test_the_card_tells_what_is_measured_today(env, scene_clip):
    quality = clip_judge.judge(scene_clip, env, jax.random.key(11))
    card = (files.find("scene-clip") / "README.md").read_text().split("### Every prompt")[1]
    told = dict(re.findall(r"^\| (a humanoid robot[^|]*) \| ([\d.]+) \|$", card, re.M))
    for goal, auc in quality.prompts.items():
        if np.isfinite(auc) and goal in told:
            assert auc == pytest.approx(float(told[goal]), abs=0.04), goal


def test_a_training_that_was_stopped_says_so_and_leaves_no_card_of_others(tmp_path):
    config = clip_config.ClipConfig(out=tmp_path, images=25600)
    for name in ("README.md", clip_report.FIGURES, clip_report.PATHS):
        (tmp_path / name).write_text("of other weights")
    clip_report.discard(tmp_path)
    assert not list(tmp_path.iterdir())
    for seen, told in ((12800, "stopped there, of 25,600"), (25600, "")):
        clip_report.write_training(config, seen, 60.0)
        made = json.loads((tmp_path / clip_report.TRAINING).read_text())
        assert made["images"] == seen and told in made["note"] and bool(told) == bool(made["note"])


def test_the_shipped_prompts_are_known_and_others_refused(scene_clip):
    for task in tasks.TASKS.values():
        jaxrm.ClipReward.create(scene_clip, goal=task.goal, baseline=tasks.BASELINE, alpha=0.5)
    with pytest.raises(ValueError, match="unicorn"):
        jaxrm.ClipReward.create(scene_clip, goal="a unicorn kneeling")
    with pytest.raises(ValueError, match="empty"):
        jaxrm.ClipReward.create(scene_clip, goal=" ")


def test_another_vocabulary_reads_the_same():
    """Words that both tokenisers have are read alike, and a new word begins as the mean of its pieces."""
    few, many = train_tokenizer(["a robot kneeling"] * 3), train_tokenizer(["a robot kneeling", "a mountain"])
    table = np.random.default_rng(0).normal(size=(few.get_vocab_size(), 4))
    rows = respelt(table, few, many)
    known, said = (tokenizer.encode("a robot kneeling") for tokenizer in (few, many))
    np.testing.assert_array_equal(rows[said.ids], table[known.ids])
    new, pieces = many.encode("mountain").ids[1:-1], few.encode("mountain").ids[1:-1]
    assert len(new) == 1 < len(pieces)
    np.testing.assert_allclose(rows[new[0]], table[pieces].mean(0))


def test_patches_of_another_size_begin_as_the_old_ones(scene_clip):
    """Of one colour a small patch gives the vector that a large one gave, and positions lie between
    the old ones."""
    config = clip_config.ClipConfig(start=files.find("scene-clip"), patch=8)
    model, _ = clip_start.start(config, ["a robot", "a car"], jax.random.key(0))
    grey = jnp.full((1, 64, 64, 3), 0.5)
    old, new = (one.vision.patches(grey) for one in (scene_clip.model, model))
    assert old.shape == (1, 4, 4, 128) and new.shape == (1, 8, 8, 128)
    np.testing.assert_allclose(new[0, 0, 0], old[0, 0, 0], atol=1e-4)
    places, finer = (one.vision.positions[...] for one in (scene_clip.model, model))
    assert finer.shape == (65, 128)
    np.testing.assert_array_equal(finer[0], places[0])
    np.testing.assert_allclose(finer[1:].mean(0), places[1:].mean(0), atol=0.05)


@pytest.mark.slow
def test_training_from_random_weights_and_on_from_them_end_to_end(tmp_path, env):
    config = clip_config.ClipConfig(
        out=tmp_path / "tiny", images=2560, batch=64, pool=2048, steps_per_call=10
    )
    program.main(config)
    program.main(dataclasses.replace(config, start=config.out, out=tmp_path / "on"))
    with pytest.raises(ValueError, match="another size"):
        program.main(dataclasses.replace(config, start=config.out, out=tmp_path / "wide", width=64))
    program.main(dataclasses.replace(config, start=config.out, out=tmp_path / "words", lock_images=True))
    frames = np.asarray(scenes.draw(env, jnp.stack([env.mj_model.qpos0] * 2), jax.random.key(0), 64).frames)
    tiny, words = jaxrm.load_clip(config.out), jaxrm.load_clip(tmp_path / "words")
    np.testing.assert_allclose(words.embed_images(frames), tiny.embed_images(frames), atol=1e-5)
    assert np.abs(words.embed_texts(["a robot"]) - tiny.embed_texts(["a robot"])).max() > 1e-3
    clip = jaxrm.load_clip(tmp_path / "on")
    assert clip.embed_images(np.zeros((2, 64, 64, 3), np.uint8)).shape == (2, config.projection)
    assert "AUC" in (config.out / "README.md").read_text()
