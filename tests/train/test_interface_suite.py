"""What trained interfaces come to: their suite, judged again, beside each other; and the shipped one."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

import jaxrm
from envs.humanoid.instructions import CHANGES, INSTRUCTIONS, changed
from envs.humanoid.motion_captions import wordings
from jaxrm.metrics.reorder import Order, reorder
from jaxrm.rewards.likelihood import Trajectories
from train.films.films import Dataset
from train.films.trajectories import FAILING
from train.interface import compare as interface_compare
from train.interface import data as interface_data
from train.interface import main as program
from train.interface import report as interface_report
from train.interface import suite as interface_suite
from train.interface.compare import compared
from train.interface.losses import Words, score_rows

from .conftest import CONFIG, FRAMES, GOLDEN, new


def test_the_suite(lm, data, failing, tmp_path, monkeypatch):
    """Judged, written, drawn and printed again; one frame is the same frozen or not."""
    monkeypatch.setattr(interface_suite, "BLOCK", 12)
    held = {"speeds": data, interface_suite.UNSEEN: data[:10]}
    config = replace(CONFIG, out=tmp_path, lm="instruct-lm", episodes=(Path("runs/played"),))
    jaxrm.save_interface(new(lm), tmp_path)
    interface_report.write_training(config, [3.0, 2.0], 60.0)
    films = {"train": data, **held, FAILING: failing}
    program.judge_and_report(config, lm, new(lm), films, jax.random.key(2), Console(quiet=True))
    suite = json.loads((tmp_path / interface_report.SUITE).read_text())
    assert [row["name"] for row in suite["rows"]] == list(interface_suite.KINDS)
    rows = {row["name"]: row for row in suite["rows"]}
    assert rows["frozen"]["pairs"] == 22 and rows["frozen"]["static_accuracy"] == 0.5
    assert set(suite["sets"]) >= {"speeds", "starts and wordings", "half as long", "twice as long"}
    for part in suite["sets"].values():
        kinds = [kind["accuracy"] for kind in part["kinds"].values()]
        assert (
            part["accuracy"] == pytest.approx(np.mean(kinds))
            and part["kinds"]["frozen"]["one frame only"] == 0.5
        )
    shown = interface_report.shown({"a": suite})
    of_sets = shown[shown.index("one frame only) | speeds |") :]
    known = {kind for part in suite["sets"].values() for kind in part["kinds"]}
    assert len(known) > 6 and all(f"\n| {kind} | " in of_sets for kind in known)
    assert "(0.500)" in of_sets
    assert "another motion's" in shown and FAILING in shown and shown in (tmp_path / "README.md").read_text()
    card = (tmp_path / "README.md").read_text()
    assert "--episodes runs/played" in card and "(runs `played`)" in card
    assert (tmp_path / interface_report.OVER_TIME).stat().st_size > 1000
    both = interface_report.shown({"a": suite, "b": suite})
    assert "contrastive (a)" not in shown and "contrastive (a)" in both and "contrastive (b)" in both
    with pytest.raises(FileNotFoundError, match="no suite"):
        interface_report.read_suite(tmp_path / "nothing")


def test_judged_again_on_other_films(lm, data, failing, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(interface_suite, "BLOCK", 12)
    config = replace(CONFIG, out=tmp_path, lm="instruct-lm")
    jaxrm.save_interface(new(lm), tmp_path)
    interface_report.write_training(config, [3.0], 60.0)
    films = {"train": data, "speeds": data, interface_suite.UNSEEN: data[:10], FAILING: failing}
    asked = []
    monkeypatch.setattr(
        interface_compare, "make_or_load", lambda source, file: asked.append((source, file)) or films
    )
    again = interface_compare.SuiteConfig((tmp_path,), films_seed=3, judged=12, out=tmp_path / "again.json")
    interface_compare.suite(again)
    assert asked == [(interface_data.Source(config.model, 12, 12, 3), None)]
    suite = json.loads((tmp_path / "again.json").read_text())[str(tmp_path)]
    rows = {row["name"]: row for row in suite["rows"]}
    assert rows["frozen"]["pairs"] == 22 and "twice as long" in suite["sets"]
    assert "another motion's" in capsys.readouterr().out and not (tmp_path / interface_report.SUITE).exists()
    with pytest.raises(ValueError, match="films of seed 0 are those that"):
        interface_compare.suite(replace(again, films_seed=0))
    with pytest.raises(ValueError, match="with films_seed"):
        replace(again, films_seed=None, data=tmp_path / "films")
    with pytest.raises(FileNotFoundError, match="no checkpoint 'nothing'"):
        interface_compare.suite(replace(again, runs=(Path("nothing"),)))


def test_seeds_beside_each_other(tmp_path):
    """Mean, lowest and highest over seeds; what a protocol lacks is empty."""

    def lay(name: str, protocol: str, kinds: dict[str, float]) -> tuple[Path, dict]:
        (tmp_path / name).mkdir()
        rows = [{"name": kind, "accuracy": value, "static_accuracy": 0.5} for kind, value in kinds.items()]
        sets = {"speeds": {"accuracy": 0.7, "one frame only": 0.4}}
        suite, made = {"rows": rows, "sets": sets}, {"options": {"protocol": protocol, "layers": 1}}
        (tmp_path / name / interface_report.TRAINING).write_text(json.dumps(made))
        return tmp_path / name, suite

    runs = [lay(f"c{i}", "contrastive", {"side": 0.5 + i / 4, "verb": 1.0}) for i in range(3)]
    table = compared(dict([*runs, lay("m", "ml", {"side": 0.25})])).splitlines()
    assert table[0].split(" | ")[1:] == [
        "contrastive, 1 block, 3 seeds",
        "ml, 1 block, 1 seed",
        "one frame only |",
    ]
    assert table[2] == "| side | 0.750 [0.500, 1.000] | 0.250 | 0.500 to 0.500 |"
    assert table[3].startswith("| verb | 1.000 [1.000, 1.000] |  | ")
    assert table[4] == "| held out: speeds | 0.700 [0.700, 0.700] | 0.700 | 0.400 to 0.400 |"


def test_films_of_another_length(data):
    half, double = (interface_suite.resampled(data, rate) for rate in (0.5, 2.0))
    np.testing.assert_array_equal(half.batch.mask[0], np.arange(2 * FRAMES) < FRAMES // 2)
    np.testing.assert_array_equal(half.embeddings[0, :3], data.embeddings[0, ::2])
    np.testing.assert_array_equal(double.embeddings[1, 1:10:2], data.embeddings[1, :5])
    assert double.batch.mask.sum(1).tolist() == (2 * data.batch.mask.sum(1)).tolist()
    assert half.batch.done.all() and double.batch.done.all()
    signs = data.batch.signs
    passed = signs._replace(holds=signs.holds.at[:, ::2].set(False))  # in the frames between alone
    assert not interface_suite.resampled(
        Dataset(data.batch._replace(signs=passed), data.embeddings), 0.5
    ).batch.done.any(), "what happened between two looks was not seen"


def test_the_shipped_interface_fits_the_shipped_parts(lm):
    interface = jaxrm.load_interface("fomo-interface")
    clip = jaxrm.load_clip("scene-clip-fine")
    reward = jaxrm.LikelihoodReward.create(clip, lm, interface, instruction="kneels down")
    with pytest.raises(jaxrm.weights.UnknownWordsError, match="'backflip'"):
        jaxrm.LikelihoodReward.create(clip, lm, interface, instruction="a backflip")
    jaxrm.LikelihoodReward.create(clip, lm, interface, instruction="a backflip", allow_unknown_words=True)
    size = clip.processor.images.size
    found = reward.prefixes(np.zeros((3, size, size, 3), np.uint8))
    assert found.shape == (3,) and np.isfinite(found).all() and len(INSTRUCTIONS) == 324
    with pytest.warns(UserWarning, match="trained to describe, and form is 'ask'"):
        jaxrm.LikelihoodReward.create(clip, lm, interface, instruction="kneels down", form="ask")
    with pytest.raises(ValueError, match="trained with the tower scene-clip-fine"):
        other = jaxrm.load_clip("scene-clip")
        jaxrm.LikelihoodReward.create(other, lm, interface, instruction="kneels down")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_shipped_interface_tells_films_apart(dtype):
    """32 films of another seed, of starts and of pairs that its training kept out, embedded once by
    `scene-clip-fine` (from `python -m train suite fomo-interface --films-seed 1 --data FILE`)."""
    with np.load(GOLDEN / "films" / "embedded.npz") as file:
        embeddings, mask, which = (jnp.asarray(file[name]) for name in ("embeddings", "mask", "which"))
    own = [INSTRUCTIONS[number] for number in np.asarray(which)]
    others = {kind: [(changed(one, kind) or (one,))[0] for one in own] for kind in CHANGES}
    lm = jaxrm.load_decoder("instruct-lm", dtype=dtype)
    everything = [*own, *(one for other in others.values() for one in other)]
    said = Words.saying(lm, "contrastive", [wordings(one)[0] for one in everything])
    count = len(own)  # the own instruction, then it changed in each way, where that can be
    rows = jnp.arange(count)[:, None] + count * jnp.arange(1 + len(CHANGES))
    orders = reorder(jax.random.key(0), mask)
    score = jax.jit(
        partial(score_rows, jaxrm.load_interface("fomo-interface"), said, done=jnp.ones((), bool))
    )

    def scores(order: Order) -> np.ndarray:
        return np.asarray(score(batch=Trajectories(order.of(embeddings), order.mask), rows=rows))

    plain = Order(jnp.broadcast_to(jnp.arange(mask.shape[1]), mask.shape), mask)
    right, *wrong = scores(plain).T
    for (kind, other), spoiled in zip(others.items(), wrong, strict=True):
        can = np.array([one != another for one, another in zip(own, other, strict=True)])
        assert can.sum() >= 16 and (right > spoiled)[can].mean() >= 0.9, kind
    for name in ("reversed", "frozen", "shuffled"):
        assert (right > scores(orders[name])[:, 0]).mean() >= 0.95, name
