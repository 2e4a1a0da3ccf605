"""Rates of repeated calls, by the clock and by the processor's time."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Rate(NamedTuple):
    """Things done per second.

    The second figure, for all threads of this process together, hardly changes when other programs
    keep the machine busy; on an accelerator it says little.
    """

    wall: float
    cpu: float  # per second of this process's processor time


def rate(call: Callable[[], Any], things: int, seconds: float) -> Rate:
    """Best rate of a call that does `things` at once, repeated for about `seconds`, after one to warm up."""
    jax.block_until_ready(call())
    best, best_cpu, end = float("inf"), float("inf"), time.perf_counter() + seconds
    while True:
        start, start_cpu = time.perf_counter(), time.process_time()
        jax.block_until_ready(call())
        best = min(best, time.perf_counter() - start)
        best_cpu = min(best_cpu, time.process_time() - start_cpu)
        if time.perf_counter() >= end:
            return Rate(things / best, things / max(best_cpu, 1e-9))


def matmul_flops(seconds: float) -> Rate:
    """Floating point operations per second of a float32 matrix product on this device."""
    a = jnp.ones((2048, 2048))
    product = jax.jit(lambda x: jnp.dot(x, x, precision="highest"))
    return Rate(*(2 * 2048**3 * r for r in rate(lambda: product(a), 1, seconds)))
