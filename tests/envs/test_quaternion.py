"""Quaternions against MuJoCo's own functions."""

import jax
import mujoco
import numpy as np

from envs import quaternion


def test_product_and_matrices_are_mujocos():
    with jax.enable_x64(True):
        draws = np.random.default_rng(0).normal(size=(2, 4, 50))
        a, b = (np.asarray(quaternion.unit(quats)) for quats in draws)
        product = np.stack(quaternion.product(list(a), list(b)))
        matrices = np.asarray(quaternion.matrices(a))
    for i in range(a.shape[1]):
        wanted, matrix = np.zeros(4), np.zeros(9)
        mujoco.mju_mulQuat(wanted, a[:, i], b[:, i])
        mujoco.mju_quat2Mat(matrix, a[:, i])
        np.testing.assert_allclose(product[:, i], wanted, atol=1e-14)
        np.testing.assert_allclose(matrices[i], matrix.reshape(3, 3), atol=1e-14)
