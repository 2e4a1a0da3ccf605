"""Shared by all tests: full precision, a cache of compiled programs, skips that CI forbids."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

# Most of the time goes into compiling, and most of that into what makes large programs fast. Processes that
# tests start inherit this; JAX_DISABLE_MOST_OPTIMIZATIONS=0 compiles as users do.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

import jax
import pytest

jax.config.update("jax_default_matmul_precision", "highest")
# What one file compiled others, and the next run, take from here.
ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "jax"
jax.config.update("jax_compilation_cache_dir", os.environ.get("JAX_COMPILATION_CACHE_DIR") or str(CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)

# Marks whose tests must run, e.g. JAXRM_MUST_RUN=opengl,parity: there a skip is a failure.
MUST_RUN = [mark for mark in os.environ.get("JAXRM_MUST_RUN", "").split(",") if mark]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    for mark in MUST_RUN:
        if report.skipped and item.get_closest_marker(mark):
            report.outcome, report.longrepr = (
                "failed",
                f"skipped, but {mark!r} must run here: {report.longrepr}",
            )
    return report


@pytest.fixture
def on_devices() -> Callable[..., str]:
    """Runs code in a process of its own that has several CPU devices, and gives what it printed."""

    def run(code: str, *arguments: str, devices: int = 8, **environment: str) -> str:
        from train.cli import threads_of  # after the settings above

        flags = f"--xla_force_host_platform_device_count={devices}"
        threads = str(threads_of(devices, foreign=False))
        told = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags, "NPROC": threads, **environment}
        command = [sys.executable, "-c", code, *arguments]
        options = {"capture_output": True, "text": True, "timeout": 600, "check": False}
        done = subprocess.run(command, cwd=ROOT, env=os.environ | told, **options)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return run


@pytest.fixture(scope="module")
def optimised():
    """Compiled as for users, also what other files have compiled before."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", False)
    jax.clear_caches()
    yield
    jax.config.update("jax_disable_most_optimizations", before)
