"""The perturbation table on scores whose failings are known."""

import math

import numpy as np
import pytest

from jaxrm.metrics import Scores, perturbation_rows, perturbation_table

RIGHT = np.linspace(0, 1, 40)


def test_a_score_that_knows_one_that_does_not_and_a_tie():
    noise = np.random.default_rng(0).normal(size=40)
    found = perturbation_rows(
        Scores(RIGHT, {"knows": RIGHT - 2, "in pairs alone": RIGHT - 0.01, "blind": RIGHT, "noise": noise}),
        seed=0,
        resamples=50,
    )
    knows, pairs, blind, noisy = found
    assert knows.accuracy == knows.auc == 1 and knows.gap == pytest.approx(2)
    assert knows.gap_interval == pytest.approx((2, 2))
    assert pairs.accuracy == 1 and 0.5 < pairs.auc < 0.6
    assert blind.accuracy == 0.5 and blind.auc == 0.5 and blind.gap == 0
    low, high = noisy.accuracy_interval
    assert low <= noisy.accuracy <= high and high - low > 0.1


def test_what_does_not_spoil_is_left_out():
    spoiled = np.where(np.arange(40) < 10, RIGHT - 1, RIGHT + 1)
    chosen = {"cut": np.arange(40) < 10, "none": np.zeros(40, bool)}
    cut, none = perturbation_rows(
        Scores(RIGHT, {"cut": spoiled, "none": spoiled}), wrong=chosen, seed=0, resamples=20
    )
    assert cut.pairs == 10 and cut.accuracy == 1
    assert none.pairs == 0 and math.isnan(none.auc)


def test_the_control_stands_beside():
    scores = Scores(RIGHT, {"reversed": RIGHT - 1})
    static = Scores(RIGHT, {"reversed": RIGHT + 1})
    (row,) = perturbation_rows(scores, seed=0, static=static, resamples=20)
    assert row.accuracy == 1 and row.static_accuracy == 0 and row.static_gap == pytest.approx(-1)
    table = perturbation_table({"ml": [row], "contrastive": [row]})
    assert table.count("| reversed |") == 2 and "chance" in table and "1.000 [1.000, 1.000]" in table
    assert table.count("-1.000 |") == 2


def test_wrong_shapes_and_missing_controls_are_named():
    with pytest.raises(ValueError, match="reversed"):
        perturbation_rows(Scores(RIGHT, {"reversed": RIGHT[1:]}), seed=0)
    with pytest.raises(ValueError, match="lacks reversed"):
        perturbation_rows(Scores(RIGHT, {"reversed": RIGHT}), seed=0, static=Scores(RIGHT, {}))
    with pytest.raises(ValueError, match="NaN"):
        perturbation_rows(Scores(RIGHT * np.nan, {"reversed": RIGHT}), seed=0)
    with pytest.raises(ValueError, match="one protocol"):
        perturbation_table({})
