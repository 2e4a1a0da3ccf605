"""Controls on scores whose failings are known."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from jaxrm.metrics import controls_table, perturbations, score_with_controls, value_order_correlation

FRAMES = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)


def brightness(frames):
    return frames.mean(axis=(1, 2, 3))


def test_perturbations_are_orders_of_the_same_frames():
    views = perturbations(FRAMES, seed=0)
    assert list(views) == ["as it is", "first frame repeated", "reversed", "shuffled"]
    np.testing.assert_array_equal(views["as it is"], FRAMES)
    np.testing.assert_array_equal(views["first frame repeated"], np.zeros_like(FRAMES))
    np.testing.assert_array_equal(brightness(views["reversed"]), [4, 3, 2, 1, 0])
    assert sorted(brightness(views["shuffled"])) == [0, 1, 2, 3, 4]
    for seed in range(5):  # two frames have one other order
        shuffled = perturbations(jnp.eye(2), seed=seed)["shuffled"]
        np.testing.assert_array_equal(shuffled, [[0, 1], [1, 0]])
    with pytest.raises(ValueError, match="at least two frames"):
        perturbations(FRAMES[:1], seed=0)


def test_a_score_that_looks_and_one_that_counts_frames():
    looks = score_with_controls(lambda x: value_order_correlation(brightness(x)), FRAMES, seed=0)
    assert looks["as it is"] == pytest.approx(1) and looks["reversed"] == pytest.approx(-1)
    assert math.isnan(looks["first frame repeated"]) and looks["shuffled"] < 0.9
    counts = score_with_controls(lambda x: value_order_correlation(np.arange(len(x))), FRAMES, seed=0)
    assert list(counts.values()) == pytest.approx([1] * 4)


def test_wrong_instructions_stand_below():
    embeddings = jnp.eye(3)
    rows = score_with_controls(lambda x: x[-1, 2], embeddings, seed=0, wrong={"sit down": lambda x: x[-1, 0]})
    assert list(rows)[-1] == "wrong instruction: sit down"
    assert (rows["as it is"], rows["wrong instruction: sit down"]) == (1, 0)
    with pytest.raises(ValueError, match="one number a trajectory"):
        score_with_controls(lambda x: x[0], embeddings, seed=0)


def test_table():
    one = {"as it is": 1.0, "first frame repeated": math.nan, "reversed": -1.0}
    other = {"as it is": 0.5, "first frame repeated": 0.25, "reversed": -1.0}
    lines = controls_table([one, other]).splitlines()
    assert lines[2] == "| as it is | 0.750 |  | 0 of 2 |"
    assert lines[3] == "| first frame repeated | 0.250 | 0.250 | 1 of 2 |"
    assert lines[4] == "| reversed | -1.000 | 1.750 | 0 of 2 |"
    assert controls_table(one).splitlines()[3] == "| first frame repeated | nan | nan | 1 of 1 |"
    with pytest.raises(ValueError, match="the same ones"):
        controls_table([one, {"as it is": 1.0}])
