"""What a run says while it runs: who computes, and one live line of how it goes."""

import glob
import math
import os
import time

import jax
from rich.console import Console
from rich.live import Live
from rich.text import Text

PLAIN_SECONDS = 10.0  # between two lines where there is no terminal


def announce(console: Console, what: str) -> None:
    """Device, precision, a GPU left unused, and that compilation takes a while."""
    device = jax.devices()[0]
    many = f"{jax.device_count()} x " if jax.device_count() > 1 else ""
    cores = f", {os.cpu_count()} cores" if device.platform == "cpu" else ""
    console.print(what, highlight=False)
    console.print(f"  device     {many}{device.device_kind}{cores}", highlight=False)
    console.print("  precision  full float32 for physics; encoders as the device has it", highlight=False)
    if unused_gpu():
        console.print(
            "  note       this machine has an NVIDIA GPU, which jax does not use:"
            ' pip install -e ".[cuda12]" (or cuda13)',
            highlight=False,
        )
    if not jax.config.jax_compilation_cache_dir:
        console.print(
            "  compiling  (half a minute or more; set JAX_COMPILATION_CACHE_DIR to keep it)", highlight=False
        )
    else:
        console.print(f"  compiling  (cache in {jax.config.jax_compilation_cache_dir})", highlight=False)


def unused_gpu() -> bool:
    return jax.default_backend() == "cpu" and bool(glob.glob("/proc/driver/nvidia/gpus/*"))


class StatusLine:
    """One line that changes in a terminal; a line every 10 s elsewhere. Use as a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4) if console.is_terminal else None
        self._last = -PLAIN_SECONDS

    def __enter__(self) -> "StatusLine":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, line: str, last: bool = False) -> None:
        if self._live is not None:
            self._live.update(Text(line))
        elif last or time.monotonic() - self._last >= PLAIN_SECONDS:
            self._last = time.monotonic()
            self._console.print(line, highlight=False, soft_wrap=True)


def training_line(
    steps: int, total: int, rate: float, reward: float, success: float, seconds_left: float
) -> str:
    """A `success` of NaN, not known, is left out."""
    known = "" if math.isnan(success) else f"  success {success:.0%}"
    return (
        f"{steps / 1e3:,.0f}k/{total / 1e3:,.0f}k steps  {rate:,.0f} steps/s  reward {reward:.3f}"
        f"{known}  {_duration(seconds_left)} left"
    )


def _duration(seconds: float) -> str:
    seconds = round(seconds)
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
