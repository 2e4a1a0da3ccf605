"""Shared by all tests: full precision, a cache of compiled programs, skips that CI forbids."""

import os
from pathlib import Path

import jax
import pytest

jax.config.update("jax_default_matmul_precision", "highest")
# Most of the time goes into compiling: what one file compiled others, and the next run, take from here.
CACHE = Path(__file__).resolve().parents[1] / ".cache" / "jax"
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
