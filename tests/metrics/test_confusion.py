import math

import numpy as np
import pytest

from jaxrm.metrics import instruction_confusion


def test_means_and_margin():
    rewards = [[0.9, 0.7, 0.1], [0.2, 0.4, 0.6]]  # videos 0 and 1 show instruction 0, video 2 shows 1
    result = instruction_confusion(rewards, [0, 0, 1])
    np.testing.assert_allclose(result.matrix, [[0.8, 0.1], [0.3, 0.6]])
    assert result.margin == pytest.approx(0.7 - 0.2)


def test_a_reward_that_does_not_listen_has_no_margin():
    videos = np.random.default_rng(0).normal(size=9)
    assert instruction_confusion(np.tile(videos, (3, 1)), [0, 1, 2] * 3).margin == pytest.approx(0)


def test_without_a_video_or_a_second_instruction_it_is_undefined():
    result = instruction_confusion(np.ones((2, 1)), [0])
    np.testing.assert_array_equal(result.matrix, [[1, np.nan], [1, np.nan]])
    assert math.isnan(result.margin)
    assert math.isnan(instruction_confusion(np.ones((1, 4)), [0] * 4).margin)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"shape \(2, 3\) and shown \(2,\)"):
        instruction_confusion(np.ones((2, 3)), [0, 1])
    with pytest.raises(ValueError, match="whole numbers from 0 to 1"):
        instruction_confusion(np.ones((2, 3)), [0, 1, 2])
    with pytest.raises(ValueError, match="not finite"):
        instruction_confusion([[np.nan, 0]], [0, 0])
