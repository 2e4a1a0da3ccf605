"""Instructions, their words, and the oracle: what is carried out is judged so, what is spoiled is not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs import quaternion
from envs.humanoid import instructions, motion_captions, motion_truth
from envs.humanoid.instructions import ACTIONS, INSTRUCTIONS, NUMBERS, Action, changed, courses
from envs.humanoid.motions import Motions
from jaxrm.metrics.reorder import reorder

KNEEL, GET_UP = Action("kneel"), Action("get up")
RAISE, LOWER = Action("raise", "left", "arm"), Action("lower", "left", "arm")
FRAMES = 28


@pytest.fixture(scope="module")
def env():
    return envs.make("humanoid/standing")


@pytest.fixture(scope="module")
def films(env):
    """Every single action and some pairs, without physics: numbers, states, masks, what the oracle sees."""
    motions = Motions(env, FRAMES)
    pairs = np.flatnonzero(instructions.feasible())[len(ACTIONS) :: 9]
    which = np.array([*range(len(ACTIONS)), NUMBERS[KNEEL, GET_UP], NUMBERS[RAISE, LOWER], *pairs])

    @jax.jit
    @jax.vmap
    def film(key, which):
        plan = motions.plan(key, which)
        qpos, mask = motions.path(plan), motions.mask(plan)
        signs = motion_truth.signs(env, qpos)
        return qpos, mask, signs

    qpos, mask, signs = film(jax.random.split(jax.random.key(0), len(which)), jnp.asarray(which))
    return which, np.asarray(qpos), mask, signs


@pytest.fixture(scope="module")
def judge():
    return jax.jit(jax.vmap(motion_truth.truth))


def test_what_can_be_told():
    assert len(set(INSTRUCTIONS)) == len(INSTRUCTIONS) == len(ACTIONS) * len(ACTIONS)
    feasible, held_out = instructions.feasible(), instructions.held_out()
    assert feasible[: len(ACTIONS)].all() and feasible.sum() > 150
    assert 0.1 < (feasible & held_out).sum() / feasible.sum() < 0.2
    trained = instructions.action_table()[feasible & ~held_out & (np.arange(len(feasible)) >= len(ACTIONS))]
    assert set(trained.ravel()) == set(range(len(ACTIONS)))  # every action is trained in pairs
    assert not courses((KNEEL, KNEEL)) and not courses((GET_UP, Action("stand up")))
    assert not instructions.is_held_out((KNEEL, GET_UP)) and not instructions.is_held_out((RAISE, LOWER))


def test_changes():
    assert (Action("raise", "right", "arm"),) in changed((RAISE,), "side")
    assert changed((RAISE,), "count") == ((Action("raise", "both", "arm"),),)
    assert changed((RAISE,), "body part") == ((Action("raise", "left", "leg"),),)
    assert changed((RAISE,), "verb") == ((LOWER,),)
    assert changed((RAISE, LOWER), "order") == ((LOWER, RAISE),)
    assert (RAISE,) in changed((RAISE, LOWER), "count")
    assert changed((KNEEL,), "side") == changed((KNEEL,), "order") == ()
    for kind in instructions.CHANGES:
        for number, row in enumerate(instructions.change_table(kind)):
            assert number not in row
    with pytest.raises(ValueError, match="body part"):
        changed((KNEEL,), "colour")


def test_words():
    assert motion_captions.wordings((KNEEL,))[0] == "kneels down"
    assert motion_captions.wordings((KNEEL, GET_UP))[0] == "kneels down and gets up again"
    assert motion_captions.wordings((RAISE, LOWER))[0] == "raises its left arm and lowers it"
    assert "gets up from kneeling after kneeling down" in motion_captions.wordings((KNEEL, GET_UP))
    owners = {}
    for instruction in INSTRUCTIONS:
        for words in motion_captions.wordings(instruction):
            assert words == words.strip() and "  " not in words and "{" not in words
            assert owners.setdefault(words, instruction) == instruction, f"{words!r} says two things"
        trained = motion_captions.split(instruction, 12, held_out=False)
        kept = motion_captions.split(instruction, 12, held_out=True)
        assert len(trained) == len(kept) == 12 and not set(trained) & set(kept)
        assert trained[0] == motion_captions.wordings(instruction)[0]
    with pytest.raises(ValueError, match="one or two"):
        motion_captions.wordings(())


def test_paths_do_what_they_are_told(films, judge):
    which, qpos, mask, signs = films
    found = np.asarray(judge(signs, mask))
    failed = [motion_captions.wordings(INSTRUCTIONS[w])[0] for i, w in enumerate(which) if not found[i, w]]
    assert len(failed) <= 1, failed
    assert np.isfinite(qpos).all() and np.allclose(np.linalg.norm(qpos[..., 3:7], axis=-1), 1, atol=1e-5)
    count = np.asarray(mask).sum(1)
    assert count.min() >= 6 and count.max() < FRAMES and len(set(count)) > 5


def test_free_legs_do_something_else_where_only_arms_are_told(env, judge):
    """As a policy's do, for which it is no less done; where legs are told something they do it."""
    motions, count = Motions(env, FRAMES), 48

    @jax.jit
    @jax.vmap
    def film(key, which):
        plan = motions.plan(key, which, speeds="free")
        return plan, motions.mask(plan), motion_truth.signs(env, motions.path(plan))

    which = np.repeat([NUMBERS[RAISE, LOWER], NUMBERS[KNEEL, RAISE]], count)
    plan, mask, signs = film(jax.random.split(jax.random.key(1), len(which)), jnp.asarray(which))
    done = np.asarray(judge(signs, mask))[np.arange(len(which)), which]
    assert done[:count].mean() > 0.9 and done[count:].mean() > 0.9
    legs = np.abs(np.diff(np.asarray(plan.joints)[:, :, motions.parts[0]], axis=1)).max(axis=(1, 2)) > 0.7
    assert 0.3 < legs[:count].mean() < 0.9 and legs[count:].all()
    seconds = np.asarray(plan.seconds)
    assert seconds.min() < 0.65 < 1.2 < seconds.max()


def test_a_single_action_is_hardly_ever_another(films, judge):
    """A bow can bring the head below a hand that hangs loosely: then an arm is raised, too."""
    _, _, mask, signs = films
    single = np.asarray(judge(signs, mask))[: len(ACTIONS), : len(ACTIONS)]
    others = np.argwhere(single & ~np.eye(len(ACTIONS), dtype=bool))
    assert len(others) <= 2, others


def test_arms_that_move_while_the_body_topples_have_not_done_it(env, films, judge):
    """On straight legs, but no more upright than a body that drops to the floor; hands go where they went."""
    which, qpos, mask, _ = films
    row = list(which).index(NUMBERS[RAISE, LOWER])
    qpos, mask = jnp.asarray(qpos[row]), mask[row]
    half = jnp.deg2rad(45.0) / 2
    tip = jnp.array([jnp.cos(half), jnp.sin(half), 0.0, 0.0])  # about its own forward axis
    topples = qpos.at[:, 3:7].set(jnp.stack(quaternion.product(qpos[:, 3:7].T, tip), axis=1))
    both = jax.jit(lambda x: jax.vmap(lambda qpos: motion_truth.signs(env, qpos))(x))(
        jnp.stack([qpos, topples])
    )
    measures = jax.jit(jax.vmap(lambda qpos: env.measures(env.pose_at(qpos))))(topples)
    done = np.asarray(judge(both, jnp.stack([mask, mask])))
    assert done[0, which[row]] and not done[1, which[row]]
    assert measures.upright.min() > 0.55 and measures.hands_above_head[:, 1].max() > 0.1
    assert (measures.hands_above_shoulders[-1] < -0.1).all()


def test_spoiled_ones_fail_but_there_and_back_may_be_reversed(films, judge):
    which, _, mask, signs = films
    orders = reorder(jax.random.key(1), mask)
    share = {}
    for name in ("reversed", "frozen", "truncated"):
        seen = jax.tree.map(orders[name].of, signs)
        found = np.asarray(judge(seen, orders[name].mask))
        share[name] = np.array([found[i, w] for i, w in enumerate(which)])
    back = np.array([instructions.is_return(INSTRUCTIONS[w]) for w in which])
    assert not share["frozen"].any()
    assert not share["reversed"][: len(ACTIONS)].any() and share["reversed"][back].mean() > 0.5
    assert share["truncated"].mean() < 0.3


def test_masked_frames_count_for_nothing(films, judge):
    _, _, mask, signs = films
    rubbish = motion_truth.Signs(
        jnp.where(mask[..., None], signs.holds, ~signs.holds),
        jnp.where(mask, signs.heading, 2.0),
        signs.near,
    )
    np.testing.assert_array_equal(judge(rubbish, mask), judge(signs, mask))
    assert not np.asarray(judge(signs, jnp.zeros_like(mask))).any()


def test_numbers_that_make_no_film_are_refused(env):
    with pytest.raises(ValueError, match="frames"):
        Motions(env, frames=1)
