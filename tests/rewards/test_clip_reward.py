"""ClipReward: the closed forms of VLM-RM's equation, and each wrong choice refused."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrm
from jaxrm.rewards.clip import goal_baseline, score

WHOLE = Path(__file__).parents[1] / "golden" / "clip-quick-gelu"
pytestmark = pytest.mark.usefixtures("optimised")  # to the last bit
GOAL, OTHER, BASELINE = "a humanoid robot kneeling", "a humanoid robot standing up", "a humanoid robot"
FRAMES = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 16, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def clip():
    return jaxrm.load_clip(WHOLE)


def vectors(count: int) -> np.ndarray:
    drawn = np.random.default_rng(1).normal(size=(count, 6))
    return drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)


def test_the_equation_in_float64():
    """1 - ||alpha proj_L(s) + (1 - alpha) s - g||^2 / 2, its projection on b + t (g - b) spelled out."""
    s, g, b = vectors(5), *vectors(7)[5:]
    t = (s - b) @ (g - b) / ((g - b) @ (g - b))
    projected = b + t[:, None] * (g - b)
    with jax.enable_x64(True):
        for alpha in (0.0, 0.2, 0.7, 1.0):
            want = 1 - 0.5 * ((alpha * projected + (1 - alpha) * s - g) ** 2).sum(-1)
            got = goal_baseline(*map(jnp.asarray, (s, g, b)), alpha)
            np.testing.assert_allclose(got, want, rtol=0, atol=1e-14)


def test_closed_forms():
    s, g, b = vectors(5), *vectors(7)[5:]
    with jax.enable_x64(True):
        s, g, b = map(jnp.asarray, (s, g, b))
        np.testing.assert_allclose(goal_baseline(s, g, b, 0.0), s @ g, atol=1e-14)  # alpha 0 is the cosine
        for alpha in (0.0, 0.5, 1.0):
            np.testing.assert_allclose(goal_baseline(g, g, b, alpha), 1, atol=1e-14)  # best at the goal
            at_baseline = 1 - 0.5 * jnp.sum((b - g) ** 2)  # which lies on the line, whatever alpha
            np.testing.assert_allclose(goal_baseline(b, g, b, alpha), at_baseline, atol=1e-14)
        away = jnp.linalg.qr(jnp.stack([g, b, s[0]]).T)[0][:, 2]  # a direction that is square to g and b
        moved = goal_baseline(s + 3 * away, g, b, 1.0)
        np.testing.assert_allclose(moved, goal_baseline(s, g, b, 1.0), atol=1e-13)  # alpha 1 is blind to it


def test_alpha_zero_is_exactly_the_cosine_and_needs_no_baseline(clip):
    cosine = clip.embed_images(FRAMES) @ clip.embed_texts([GOAL])[0]
    for reward in (
        jaxrm.ClipReward.create(clip, goal=GOAL),
        jaxrm.ClipReward.create(clip, goal=GOAL, baseline=BASELINE, alpha=0.0),
    ):
        got = reward(FRAMES)
        assert got.shape == (2, 3) and got.dtype == jnp.float32
        np.testing.assert_allclose(got, cosine, rtol=0, atol=2e-7)


def test_with_a_baseline(clip):
    reward = jaxrm.ClipReward.create(clip, goal=GOAL, baseline=BASELINE, alpha=0.4)
    g, b = clip.embed_texts([GOAL, BASELINE])
    np.testing.assert_allclose(reward(FRAMES), goal_baseline(clip.embed_images(FRAMES), g, b, 0.4), atol=1e-6)


def test_several_goals_are_averaged_and_get_unit_norm_again(clip):
    reward = jaxrm.ClipReward.create(clip, goal=[GOAL, OTHER])
    mean = clip.embed_texts([GOAL, OTHER]).mean(axis=0)
    assert jnp.linalg.norm(mean) < 0.999
    np.testing.assert_allclose(reward.weights.goal, mean / jnp.linalg.norm(mean), atol=1e-6)
    np.testing.assert_allclose(
        jaxrm.ClipReward.create(clip, goal=[GOAL]).weights.goal, clip.embed_texts([GOAL])[0]
    )


@pytest.mark.parametrize("alpha", [0.0, 0.4])
def test_the_likeness_to_negatives_is_taken_off(clip, alpha):
    options = {"goal": GOAL, "baseline": BASELINE, "alpha": alpha}
    plain = jaxrm.ClipReward.create(clip, **options)
    one = jaxrm.ClipReward.create(clip, **options, negatives=OTHER)
    frames = clip.embed_images(FRAMES)
    np.testing.assert_allclose(one(FRAMES), plain(FRAMES) - frames @ clip.embed_texts([OTHER])[0], atol=1e-6)
    two = jaxrm.ClipReward.create(clip, **options, negatives=[OTHER, BASELINE])
    mean = clip.embed_texts([OTHER, BASELINE]).mean(axis=0)
    away = frames @ (mean / jnp.linalg.norm(mean))
    np.testing.assert_allclose(two(FRAMES), plain(FRAMES) - away, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_works_under_jit_and_vmap_and_as_an_argument(clip, alpha):
    reward = jaxrm.ClipReward.create(clip, goal=GOAL, baseline=BASELINE, alpha=alpha)
    plain = reward(FRAMES)
    for other in (
        jax.jit(reward)(FRAMES),
        jax.vmap(reward)(FRAMES),
        jax.jit(lambda reward, frames: reward(frames))(reward, FRAMES),
        jax.jit(score, static_argnames="settings")(reward.weights, (), FRAMES, reward.settings),
        jnp.stack([reward(frame) for frame in FRAMES.reshape(-1, 16, 16, 3)]).reshape(2, 3),
    ):
        np.testing.assert_allclose(other, plain, rtol=0, atol=1e-6)


def test_weights_are_arguments_and_not_constants(clip):
    """Another goal, even another network, needs no new program."""
    # a lambda, so that the cache that is counted is this test's own
    program = jax.jit(
        lambda weights, frames, settings: score(weights, (), frames, settings), static_argnums=2
    )
    for goal in (GOAL, OTHER):
        reward = jaxrm.ClipReward.create(clip, goal=goal)
        program(reward.weights, FRAMES, reward.settings)
    assert program._cache_size() == 1
    traced = jax.make_jaxpr(lambda w, x: score(w, (), x, reward.settings))(reward.weights, FRAMES)
    assert sum(np.size(constant) for constant in traced.consts) <= 6  # mean and std


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"goal": GOAL, "alpha": 0.5}, "needs a baseline"),
        ({"goal": GOAL, "alpha": -0.1, "baseline": BASELINE}, "alpha is -0.1, wanted 0 to 1"),
        ({"goal": GOAL, "alpha": 1.1, "baseline": BASELINE}, "alpha is 1.1"),
        ({"goal": GOAL, "alpha": float("nan"), "baseline": BASELINE}, "alpha is nan"),
        ({"goal": GOAL, "alpha": 0.5, "baseline": GOAL}, "no line joins them"),
        ({"goal": ""}, "empty"),
        ({"goal": []}, "no sentence"),
        ({"goal": [], "baseline": BASELINE}, "no sentence"),
        ({"goal": GOAL, "baseline": " "}, "empty"),
        ({"goal": "a humanoid zebra"}, "'zebra'"),
        ({"goal": GOAL, "baseline": "a zebra"}, "'zebra'"),
        ({"goal": "a robot " * 12}, "16 at most"),
        ({"goal": GOAL, "negatives": GOAL}, "nothing is left"),
        ({"goal": GOAL, "negatives": ["a zebra"]}, "'zebra'"),
    ],
)
def test_wrong_choices_are_refused(clip, options, message):
    with pytest.raises(ValueError, match=message):
        jaxrm.ClipReward.create(clip, **options)


def test_unknown_words_can_be_allowed(clip):
    reward = jaxrm.ClipReward.create(clip, goal="a humanoid zebra", allow_unknown_words=True)
    assert np.isfinite(reward(FRAMES)).all()


def test_frames_of_another_kind_are_refused(clip):
    reward = jaxrm.ClipReward.create(clip, goal=GOAL)
    with pytest.raises(TypeError, match="wanted uint8"):
        reward(FRAMES / 255)
    with pytest.raises(ValueError, match="wanted"):
        reward(FRAMES[..., :1])
