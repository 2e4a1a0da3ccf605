"""The picture of a scoring: reward curves, and under them the frames that they belong to."""

import io
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch

from jaxrm.score.film import Thumbnail

# Inches.
WIDTH, CURVES = 12.0, 3.3
_LEFT, _RIGHT, _TOP, _BOTTOM, _GAP, _LINE = 0.85, 0.25, 0.3, 0.62, 0.12, 0.24
_STRIP_HEIGHT, _STRIP_FRAMES = 1.35, (3, 14)  # wished for; least and most
_DPI, _CELL_GAP = 130, 0.03  # the gap between frames, as a share of a cell
_FEW, _MANY = 40, 600  # points that are marked one by one; that get a running mean over them
_WINDOWS = 150  # of the running mean, over the whole length
# Okabe and Ito's, told apart with any kind of colour vision; without black and the pale yellow.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_STYLES = ("-", "--", ":", "-.")
_INK, _FAINT = "#333333", "#c8c8c8"
_STYLE: Any = {
    "font.size": 11,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # a dollar sign in a prompt is a dollar sign
}


@dataclass(frozen=True)
class Curves:
    """What is drawn.

    Attributes:
      title: what was scored.
      prompts: one a column of `rewards`.
      rewards: float32 [rows, prompts].
      times: seconds of each row; None: rows are numbered.
      names: what each row is called where there is no time.
      quantity: what the numbers are.
    """

    title: str
    prompts: Sequence[str]
    rewards: Float[np.ndarray, "rows prompts"]
    times: Float[np.ndarray, "rows"] | None
    names: Sequence[str]
    quantity: str

    @property
    def positions(self) -> Float[np.ndarray, "rows"]:
        return np.arange(len(self.rewards), dtype=float) if self.times is None else self.times


def draw(curves: Curves, thumbnails: Sequence[Thumbnail]) -> bytes:
    """PNG of the curves and a strip of frames on the same x axis."""
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a script that the font lacks is drawn as boxes
        figure = _bars(curves, thumbnails[0]) if len(curves.rewards) == 1 else _film(curves, thumbnails)
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=_DPI)
    return content.getvalue()


def limits(positions: Float[np.ndarray, "rows"]) -> tuple[float, float]:
    """Ends of the x axis: half a mean step beyond the first and the last row."""
    half = (positions[-1] - positions[0]) / (len(positions) - 1) / 2
    return float(positions[0] - half), float(positions[-1] + half)


def pick(
    thumbnails: Sequence[Thumbnail], positions: Float[np.ndarray, "rows"], cells: int
) -> list[Thumbnail]:
    """For each of `cells` equal parts of the x axis the thumbnail nearest to its middle."""
    low, high = limits(positions)
    middles = low + (np.arange(cells) + 0.5) * (high - low) / cells
    at = positions[[thumbnail.row for thumbnail in thumbnails]]
    return [thumbnails[int(np.argmin(np.abs(at - middle)))] for middle in middles]


def _film(curves: Curves, thumbnails: Sequence[Thumbnail]) -> Figure:
    positions, (low, high) = curves.positions, limits(curves.positions)
    width = WIDTH - _LEFT - _RIGHT
    aspect = thumbnails[0].pixels.shape[1] / thumbnails[0].pixels.shape[0]
    cells = min(int(np.clip(round(width / (_STRIP_HEIGHT * aspect)), *_STRIP_FRAMES)), len(positions))
    strip = min(width / cells / aspect, 2 * _STRIP_HEIGHT)
    legend = _legend_lines(curves.prompts)
    height = _TOP + _LINE * len(legend) + CURVES + _GAP + strip + _BOTTOM
    figure = Figure((WIDTH, height))

    def panel(bottom: float, tall: float) -> Axes:
        return figure.add_axes((_LEFT / WIDTH, bottom / height, width / WIDTH, tall / height))

    top, film = panel(_BOTTOM + strip + _GAP, CURVES), panel(_BOTTOM, strip)
    _draw_curves(top, curves)
    _draw_legend(figure, top, legend, curves.prompts)
    shown = pick(thumbnails, positions, cells)
    _draw_strip(film, shown, (low, high), width / cells / strip)
    _draw_guides(top, film, shown, positions)
    for axes in (top, film):
        axes.set_xlim(low, high)
    _label_rows(film, curves)
    return figure


def _draw_curves(axes: Axes, curves: Curves) -> None:
    rows = len(curves.rewards)
    marker, window = "o" if rows <= _FEW else None, rows // _WINDOWS if rows > _MANY else 1
    for index, values in enumerate(curves.rewards.T):
        line: Any = {"color": _color(index), "ls": _STYLES[index // len(_COLORS) % len(_STYLES)]}
        if window > 1:
            axes.plot(curves.positions, values, color=_color(index), lw=0.6, alpha=0.3)
        smooth = running_mean(values, window)
        axes.plot(curves.positions, smooth, **line, marker=marker, ms=4, lw=2.0, zorder=3, gid="curve")
    axes.set_ylabel(curves.quantity)
    axes.grid(axis="y", color="#ececec")
    axes.set_axisbelow(True)
    axes.tick_params(axis="x", length=0, labelbottom=False)
    axes.spines["bottom"].set_visible(False)
    axes.margins(y=0.08)
    if window > 1:
        axes.set_title(f"bold: mean over {window} frames", loc="right", fontsize=9, color="#777777", pad=2)


def running_mean(values: Float[np.ndarray, "rows"], window: int) -> Float[np.ndarray, "rows"]:
    """The mean over `window` neighbours, over fewer at the ends."""
    if window <= 1:
        return values
    box = np.ones(window)
    return np.convolve(values, box, "same") / np.convolve(np.ones(len(values)), box, "same")


def _color(index: int) -> str:
    return _COLORS[index % len(_COLORS)]


def _legend_lines(prompts: Sequence[str]) -> list[list[int]]:
    """Prompts put into lines by their length: the numbers of those in each line."""
    lines: list[list[int]] = [[]]
    used = 0
    for index, prompt in enumerate(prompts):
        length = min(len(prompt), 110) + 6
        if lines[-1] and used + length > 118:
            lines.append([])
            used = 0
        lines[-1].append(index)
        used += length
    return lines


def _draw_legend(figure: Figure, axes: Axes, lines: list[list[int]], prompts: Sequence[str]) -> None:
    """Above the curves, since anywhere inside they may pass."""
    handles = [line for line in axes.get_lines() if line.get_gid() == "curve"]
    height = figure.get_figheight()
    for number, line in enumerate(lines):
        figure.legend(
            [handles[index] for index in line],
            [textwrap.shorten(prompts[index], 110, placeholder="…") for index in line],
            loc="upper left",
            bbox_to_anchor=((_LEFT - 0.1) / WIDTH, (height - 0.2 - number * _LINE) / height),
            ncols=len(line),
            frameon=False,
            borderaxespad=0.0,
            borderpad=0.0,
            handlelength=1.6,
            columnspacing=1.6,
        )


def _draw_strip(
    axes: Axes, shown: Sequence[Thumbnail], ends: tuple[float, float], cell_aspect: float
) -> None:
    """Each frame in its cell, whole: what does not have the cell's shape gets white on two sides."""
    step = (ends[1] - ends[0]) / len(shown)
    for number, thumbnail in enumerate(shown):
        high, wide = thumbnail.pixels.shape[:2]
        share_x = min(1.0, wide / high / cell_aspect) * (1 - _CELL_GAP)
        share_y = min(1.0, cell_aspect / (wide / high))
        middle = ends[0] + (number + 0.5) * step
        extent = (middle - share_x * step / 2, middle + share_x * step / 2, 1 - share_y, 1.0)
        axes.imshow(thumbnail.pixels, extent=extent, aspect="auto", interpolation="antialiased")
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.spines[["left", "bottom"]].set_visible(False)


def _draw_guides(
    top: Axes, film: Axes, shown: Sequence[Thumbnail], positions: Float[np.ndarray, "rows"]
) -> None:
    """From each frame a thin line up to where exactly it lies on the curves."""
    low, high = limits(positions)
    for number, thumbnail in enumerate(shown):
        at = positions[thumbnail.row]
        top.axvline(at, color="#e4e4e4", lw=0.8, zorder=1)
        middle = low + (number + 0.5) * (high - low) / len(shown)
        line = ConnectionPatch(
            (at, 0), (middle, 1), top.get_xaxis_transform(), film.get_xaxis_transform(), color=_FAINT, lw=0.8
        )
        film.add_artist(line)


def _label_rows(axes: Axes, curves: Curves) -> None:
    if curves.times is not None:
        axes.set_xlabel(f"time in {curves.title} (s)")
        return
    if len(curves.names) > _STRIP_FRAMES[1]:
        axes.set_xlabel(f"image of {curves.title}")
        return
    names = [_cut(name, max(8, 110 // len(curves.names))) for name in curves.names]
    axes.set_xticks(curves.positions, names, fontsize=9)


def _cut(name: str, length: int) -> str:
    """Names of files differ at their ends, so it is the middle that goes."""
    half = (length - 1) // 2
    return name if len(name) <= length else f"{name[:half]}…{name[-half:]}"


def _bars(curves: Curves, thumbnail: Thumbnail) -> Figure:
    """One picture: itself, and a bar a prompt."""
    rows = len(curves.prompts)
    height = max(2.6, 0.45 * rows + 1.2)
    figure = Figure((WIDTH, height))
    left, right = figure.subplots(1, 2, width_ratios=(1, 2.4))
    left.imshow(thumbnail.pixels)
    left.set_axis_off()
    values = curves.rewards[0]
    bars = right.barh(range(rows), values, color=[_color(index) for index in range(rows)], height=0.6)
    right.bar_label(bars, [f"{value:.3f}" for value in values], padding=4)
    names = ["\n".join(textwrap.wrap(prompt, 34)[:2]) for prompt in curves.prompts]
    right.set_yticks(range(rows), names)
    right.invert_yaxis()
    right.set_xlabel(curves.quantity)
    right.margins(x=0.12)
    figure.suptitle(curves.title, x=0.02, ha="left", fontsize=11)
    figure.set_layout_engine("tight")
    return figure
