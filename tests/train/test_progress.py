"""How far prefixes of a film came: by hand, and of films that move."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs.humanoid.instructions import NUMBERS, Action
from envs.humanoid.motion_truth import CONDITIONS, TOLERANCE, TURN, Signs
from train.films.progress import (
    BEGUN,
    DONE,
    EVEN,
    EXACT,
    HALF,
    REACH,
    SLOPE,
    draw_prefixes,
    levels,
    lies,
    ranked,
    until,
)

KNEEL, GET_UP = Action("kneel"), Action("get up")


def film(names):
    holds = np.array([[name == shown for name in CONDITIONS] for shown in names])
    return Signs(jnp.asarray(holds), jnp.zeros(len(names)), jnp.asarray(holds, jnp.float32))


@pytest.mark.parametrize(
    ("instruction", "want"),
    [
        ((KNEEL,), [BEGUN, BEGUN, BEGUN, DONE, DONE, BEGUN, BEGUN - 1]),
        ((KNEEL, GET_UP), [BEGUN, BEGUN, BEGUN, HALF, HALF, DONE, HALF - 1]),
        ((GET_UP, KNEEL), [BEGUN, BEGUN, BEGUN, BEGUN, BEGUN, BEGUN, BEGUN - 1]),
    ],
)
def test_levels(instruction, want):
    """It stands, kneels down, gets up and falls. Nobody gets up who has not knelt from the beginning."""
    signs = film(["standing", "standing", "", "kneeling", "kneeling", "standing", ""])
    lying = jnp.arange(7) == 6
    found = jax.jit(levels)(signs, jnp.ones(7, bool), lying, jnp.int32(NUMBERS[instruction]))
    assert found.tolist() == want
    # a masked frame changes nothing
    mask = jnp.arange(7) < 5
    found = jax.jit(levels)(signs, mask, lying & mask, jnp.int32(NUMBERS[instruction]))
    assert found[:5].tolist() == want[:5] and found[5:].tolist() == [want[4]] * 2


def test_bodies_that_lie():
    half = np.sqrt(0.5)
    stands, sits = [0, 0, 1.3, 1, 0, 0, 0], [0, 0, 0.35, 1, 0, 0, 0]
    bows, lies_down = [0, 0, 1.0, half, 0, half, 0], [0, 0, 0.1, half, half, 0, 0]
    turned = [0, 0, 0.35, half, 0, 0, half]
    assert lies(jnp.array([stands, sits, bows, turned, lies_down])).tolist() == [False] * 4 + [True]


def test_prefixes():
    signs, mask = film(["standing", "", "kneeling", "kneeling", ""]), jnp.arange(5) < 4
    never = jnp.zeros(5, bool)
    which = jnp.int32(NUMBERS[(KNEEL,)])
    ends, found = draw_prefixes(jax.random.key(0), signs, mask, never, which, 40)
    assert ends[-1] == 3 and set(ends[:-1].tolist()) == {0, 1, 2, 3}
    np.testing.assert_array_equal(found, np.where(ends >= 2, DONE, BEGUN))
    seen = until(mask[None], jnp.array([[1, 4]]))
    assert seen.tolist() == [[[True, True, False, False, False], [True] * 4 + [False]]]


def test_the_way_to_an_end_counts():
    """It kneels down on the way that it has to go, and turns; nothing counts before an action has begun."""
    names = list(CONDITIONS)
    signs = film(["standing", "", "", "kneeling", ""])
    near = np.zeros((5, len(names)), np.float32)
    near[:, names.index("kneeling")] = [0.1, 0.4, 0.6, 1.0, 0.7]
    near[:, names.index("standing")] = [1.0, 0.5, 0.2, 0.1, 0.3]
    signs = signs._replace(near=jnp.asarray(near))
    two, one = (jnp.int32(NUMBERS[which]) for which in ((KNEEL, GET_UP), (KNEEL,)))
    mask, lying = jnp.arange(5) < 5, jnp.zeros(5, bool)
    of = jax.jit(levels)
    # distances are the logarithms: a tenth of "near" is where it begins
    way = REACH * (1 + np.log10([0.1, 0.4, 0.6]))
    back = REACH * (1 + np.log10(0.3)) * (DONE - HALF)
    np.testing.assert_allclose(of(signs, mask, lying, two)[:4], [*(HALF * way), HALF], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(of(signs, mask, lying, two)[4], HALF + back, rtol=1e-6)
    np.testing.assert_allclose(of(signs, mask, lying, one)[:4], [*(DONE * way), DONE], rtol=1e-6, atol=1e-6)
    assert of(signs, mask, lying, jnp.int32(NUMBERS[(GET_UP,)]))[:3].tolist() == [BEGUN] * 3
    turn = film(["standing"] * 4)._replace(heading=jnp.array([0.0, -0.2, 0.1, 0.7]))
    found = of(turn, mask[:4], lying[:4], jnp.int32(NUMBERS[(Action("turn", "left"),)]))
    np.testing.assert_allclose(found, [0, 0, DONE * REACH * 0.3 / TURN, DONE], rtol=1e-5)


def test_an_end_within_the_tolerance_is_less():
    """It has knelt down on the border of the tolerance, halfway into it and as the bounds say."""
    signs, mask = film(["standing", "kneeling", "kneeling", "kneeling", ""]), jnp.arange(5) < 4
    missed = np.array([9.0, 1.0, 0.5, 0.0, 0.0])
    near = np.zeros(signs.near.shape, np.float32)
    near[:, list(CONDITIONS).index("kneeling")] = np.exp(-TOLERANCE * missed)
    number = jnp.int32(NUMBERS[(KNEEL,)])
    found = jax.jit(levels)(signs._replace(near=jnp.asarray(near)), mask, jnp.zeros(5, bool), number)
    want = [DONE - EXACT, DONE - EXACT / 2, DONE, DONE]
    np.testing.assert_allclose(found[1:], want, rtol=1e-6)
    assert DONE - EXACT > DONE * REACH, "nobody who gets there has less than who does not"


def test_lower_levels_are_to_score_lower():
    levels = jnp.array([[0.0, 2, 4, -1], [2, 2, 2, 2]])
    good, bad = (float(ranked(sign * SLOPE * levels, levels, 0.1)) for sign in (1.0, -1.0))
    assert good < 0.01 and bad > 5.0
    logits = np.array([1.0, 2.0, 4.0]) / 2  # of levels 0, 1, 1.5
    each = [np.log(np.exp(x) + np.exp(logits[0])) - x for x in logits[1:]]
    got = ranked(jnp.array([[1.0, 2.0, 4.0]]), jnp.array([[0, 1, 1.5]]), 2.0)
    misses = np.array([1.0 - SLOPE, 3.0 - 1.5 * SLOPE, 2.0 - 0.5 * SLOPE])
    np.testing.assert_allclose(got, np.mean(each) + EVEN * np.mean(misses**2), rtol=1e-6)
    assert float(ranked(jnp.ones((1, 3)), jnp.ones((1, 3)), 0.1)) == 0.0
