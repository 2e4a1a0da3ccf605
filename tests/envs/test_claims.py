"""Claims of several bodies as one table, and what is said of classic control."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs import claims, classic_captions
from envs.humanoid import captions


def test_of_one_body_nothing_is_true_that_is_said_of_another():
    """Frames of two bodies, with two and one columns of misses; the second body's claim has a denial."""
    first = claims.Claims(
        np.array([[-1, -1], [0, 1]]), np.zeros((2, 2), bool), np.array([1.0, 3.0]), (("one",), ("one is so",))
    )
    second = claims.Claims(
        np.array([[0], [0]]),
        np.array([[False], [True]]),
        np.array([1.0, 1.0]),
        (("two is",), ("two is not",)),
    )
    both = claims.join([first, second], [2, 1], [0.75, 0.25])
    misses = claims.join_misses([jnp.array([[0.0, 2.0]]), jnp.array([[0.0], [4.0]])])
    found = claims.degrees(misses, jnp.asarray(both.parts), jnp.asarray(both.negated))
    one, far = (float(claims.truth(np.float32(miss))) for miss in (2.0, 4.0))
    np.testing.assert_allclose(found, [[1, one, 0, 0], [0, 0, 1, 0], [0, 0, far, 1 - far]], rtol=1e-6)
    np.testing.assert_allclose(both.weight, [0.1875, 0.5625, 0.125, 0.125])
    assert both.wordings == (*first.wordings, *second.wordings)


def test_joining_changes_no_degree_of_a_body():
    topics = [captions.claims(), *(topic.claims() for topic in classic_captions.scenes())]
    columns = [len(captions.NAMES) + 1, *(len(topic.concepts) for topic in classic_captions.scenes())]
    joined = claims.join(topics, columns, [0.25] * 4)
    misses = [
        jax.random.uniform(jax.random.key(i), (3, width), maxval=5.0) for i, width in enumerate(columns)
    ]
    together = claims.degrees(
        claims.join_misses(misses), jnp.asarray(joined.parts), jnp.asarray(joined.negated)
    )
    row = column = 0
    for topic, block in zip(topics, misses, strict=True):
        own = claims.degrees(block, jnp.asarray(topic.parts), jnp.asarray(topic.negated))
        height, width = own.shape
        np.testing.assert_allclose(together[row : row + height, column : column + width], own, rtol=1e-6)
        outside = np.delete(np.asarray(together[row : row + height]), np.s_[column : column + width], axis=1)
        assert not outside.any()
        row, column = row + height, column + width


@pytest.mark.parametrize("topic, envs", classic_captions.scenes().items())
def test_the_tasks_sentences_are_the_first_and_their_truth_grows_towards_success(topic, envs):
    said = topic.claims()
    assert len(said.parts) == len(said.negated) == len(said.weight) == len(said.wordings)
    for env in envs:
        assert said.wordings[1][0] == env.goal and said.wordings[0][0] == env.baseline
        qpos = jax.vmap(env.sample)(jax.random.split(jax.random.key(0), 512))
        if env.name.startswith("cartpole"):
            qpos = qpos.at[:, 0].set(
                0.0
            )  # its success has the cart on the rail, of which the sentence is silent
        misses = jax.vmap(topic.misses)(qpos)[:, 0]
        holds = jax.vmap(lambda q: env.success(env.pose_at(q)))(qpos)  # noqa: B023
        np.testing.assert_array_equal(np.asarray(misses) <= 0, np.asarray(holds))
    for wordings in said.wordings:
        assert len(set(wordings)) == len(wordings)
        assert any(not claims.is_held_out(sentence) for sentence in wordings)


def test_left_and_right_are_those_of_the_picture():
    """A positive angle leans to the right, as the camera sees it (see the drawings)."""
    cart, _, rod = classic_captions.scenes()
    right, left = jnp.array([0.0, 1.0]), jnp.array([0.0, -1.0])
    assert cart.misses(right)[2] == 0 < cart.misses(left)[2]
    assert cart.misses(left)[3] == 0 < cart.misses(right)[3]
    assert rod.misses(right[1:])[2] == 0 < rod.misses(left[1:])[2]
