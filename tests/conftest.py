"""Shared by all tests: quick matrix products are exact ones, and compiled programs are kept where asked."""

import os

import jax

jax.config.update("jax_default_matmul_precision", "highest")
if os.environ.get("JAX_COMPILATION_CACHE_DIR"):
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
