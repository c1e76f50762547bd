"""Draw the figures of the documentation from sample images.

    python docs/figures.py

They go to ``docs/_generated/figures``, which git ignores; the Sphinx build calls it. A figure that is younger
than the code and this script is left alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np

import brightspot as bs
from brightspot import judge, shading
from brightspot.background import Background
from brightspot.finder import Candidates
from brightspot.segmentation import FOOTPRINT_SHARE

mpl.use("Agg")

import matplotlib.pyplot as plt

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "sample_images"
BLUE, ORANGE, GREEN, RED, INK = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#333333"
"""Okabe and Ito's colours."""


class Searched(NamedTuple):
    """A sample image with what stands out in it."""

    frame: bs.Frame
    background: Background
    bright: Candidates
    confidence: np.ndarray


def search(pattern: str) -> Searched:
    """Read a sample image and judge what is brighter than its surroundings."""
    frame = bs.read_frame(next(SAMPLES.glob(pattern)))
    background, candidates = bs.SpotFinder(polarity="bright").candidates(frame)
    return Searched(frame, background, candidates[0], judge.albedo_confidence(candidates[0].features))


def levelling(april: Searched) -> plt.Figure:
    """The image, the level put through it, their ratio, and a line through all of them."""
    frame, b = april.frame, april.background
    level = np.kron(b.level, np.ones((b.step, b.step), np.float32))
    y, x = np.nonzero(np.isfinite(level))
    box = np.s_[y.min() : y.max() + 1, x.min() : x.max() + 1]
    image, level, ratio = ((part[box]) for part in (frame.image - b.pedestal, level, b.ratio))
    row = int(april.bright.segmentation.peak_yx[np.argmax(april.confidence)][0]) - box[0].start
    figure, axes = plt.subplots(1, 4, figsize=(12, 3.1), width_ratios=(1, 1, 1, 1.5), layout="constrained")
    top = float(np.nanpercentile(level, 99.5))
    for ax, part, title, low, high in (
        (axes[0], image, "image I", 0.0, 1.2 * top),
        (axes[1], level, "level L", 0.0, 1.2 * top),
        (axes[2], ratio, "ratio I / L - 1", -0.6, 0.6),
    ):
        ax.imshow(part, cmap="gray", vmin=low, vmax=high)
        ax.axhline(row, color=ORANGE, linewidth=0.8)
        ax.set(title=title, xticks=[], yticks=[])
    columns = np.arange(image.shape[1])
    axes[3].plot(columns, image[row] / top, color=BLUE, linewidth=0.8, label="I")
    axes[3].plot(columns, level[row] / top, color=INK, linewidth=1.5, label="L")
    axes[3].plot(columns, ratio[row], color=ORANGE, linewidth=0.8, label="I / L - 1")
    axes[3].set(title="along the orange line", xlabel="column (px)", ylim=(-0.7, 1.9))
    axes[3].legend(fontsize=8, frameon=False, loc="upper left", ncols=3)
    return figure


def saddle(april: Searched) -> plt.Figure:
    """Spot 5: two peaks, the saddle between them, half maximum, and the footprints."""
    b, found = april.background, april.bright.segmentation
    first = int(np.argmax(np.where(april.confidence > 0.5, found.peak, 0.0)))
    gap = np.hypot(*(found.peak_yx - found.peak_yx[first]).T)
    second = int(np.argmin(np.where((np.arange(len(gap)) != first) & (april.confidence > 0.5), gap, np.inf)))
    (y0, x0), (y1, x1) = found.peak_yx[first].astype(float), found.peak_yx[second].astype(float)
    share = np.linspace(-1.2, 2.2, 300)
    from scipy.ndimage import map_coordinates

    height = map_coordinates(b.smooth, [y0 + share * (y1 - y0), x0 + share * (x1 - x0)], order=1)
    along = share * gap[second]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), width_ratios=(1, 1.7), layout="constrained")
    half = int(2.2 * gap[second]) + 4
    centre = int((x0 + x1) / 2), int((y0 + y1) / 2)
    window = np.s_[centre[1] - half : centre[1] + half + 1, centre[0] - half : centre[0] + half + 1]
    extent = (centre[0] - half - 0.5, centre[0] + half + 0.5, centre[1] + half + 0.5, centre[1] - half - 0.5)
    left.imshow(b.smooth[window], cmap="gray", extent=extent, vmin=-0.3, vmax=float(found.peak[second]))
    for label, color in ((first, BLUE), (second, ORANGE)):
        inside = (found.labels[window] == label + 1).astype(float)
        grid = np.arange(2 * half + 1)
        left.contour(grid + centre[0] - half, grid + centre[1] - half, inside, [0.5], colors=color)
    left.set(title="footprints: above half of the own peak", xlabel="column (px)", ylabel="line (px)")
    right.plot(along, height, color=INK)
    for at, label, color, name in ((0.0, first, BLUE, "A"), (gap[second], second, ORANGE, "B")):
        peak = float(found.peak[label])
        right.plot(at, peak, "o", color=color)
        right.annotate(f"peak {name}", (at, peak), (8, 4), textcoords="offset points", color=color)
        right.hlines(FOOTPRINT_SHARE * peak, at - 5, at + 5, color=color, linestyle=":", linewidth=1.5)
    low = float(found.saddle[second])
    between = (along > 0) & (along < gap[second])
    bottom = along[between][np.argmin(height[between])]
    right.plot(bottom, low, "v", color=RED)
    right.annotate("saddle", (bottom, low), (4, -14), textcoords="offset points", color=RED)
    right.set(
        title="along the line through both", xlabel="pixels from A", ylabel="I / L - 1, smoothed",
        ylim=(-0.4, 1.12 * float(found.peak[first])),
    )  # fmt: skip
    right.text(0.99, 0.97, "dotted: half of each peak", transform=right.transAxes, ha="right", va="top")
    return figure


def slopes() -> plt.Figure:
    """The tilt that a contrast needs, by incidence."""
    contrast = np.linspace(1.01, 3.0, 200)
    figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    for incidence, color in ((20.0, BLUE), (40.0, GREEN), (60.0, ORANGE), (75.0, RED)):
        angles = (np.full_like(contrast, incidence), np.full_like(contrast, 40.0))
        needed = shading.slope_needed_deg(contrast, *angles, np.full_like(contrast, 55.0))
        reached = needed < shading.NO_SLOPE_DEG
        ax.plot(contrast[reached], needed[reached], color=color, label=f"incidence {incidence:.0f}°")
        if not reached.all():
            ax.plot(contrast[reached][-1], needed[reached][-1], "|", color=color, markersize=12)
    ax.axhline(shading.ANGLE_OF_REPOSE_DEG, color=INK, linestyle=":", linewidth=1)
    ax.text(2.98, shading.ANGLE_OF_REPOSE_DEG - 3.5, "angle of repose", ha="right", color=INK)
    ax.set(xlabel="contrast to the surroundings", ylabel="slope needed (degrees)", ylim=(0, 70), xlim=(1, 3))
    ax.set_title("emission 40°, phase 55°; beyond a bar no slope will do", fontsize=10)
    ax.legend(frameon=False, fontsize=9)
    return figure


def pairs(june: Searched) -> plt.Figure:
    """A sunlit crater wall and a spot, side by side, and what lies along the Sun's line through them."""
    b, bright = june.background, june.bright
    column = {name: bright.features[:, k] for k, name in enumerate(judge.FEATURES)}
    width = np.sqrt(bright.segmentation.n_pixels)
    shown = (bright.segmentation.peak > 0.3) & (width > 6) & (width < 25)
    y, x = bright.segmentation.peak_yx.T
    reach = 40
    shown &= (y > reach) & (x > reach) & (y < b.smooth.shape[0] - reach) & (x < b.smooth.shape[1] - reach)
    wall = int(np.argmin(np.where(shown & (june.confidence < 0.1), column["shade_beside"], np.inf)))
    spot = int(np.argmax(np.where(shown, june.confidence, -1.0)))
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), width_ratios=(1, 1, 1.5), layout="constrained")
    for ax, chosen, name, color in ((axes[0], wall, "crater wall", RED), (axes[1], spot, "spot", BLUE)):
        cy, cx = (int(v) for v in bright.segmentation.peak_yx[chosen])
        azimuth = np.radians(float(june.frame.geometry.ground(cx, cy).sun_azimuth_deg))
        step = np.array([-np.cos(azimuth), np.sin(azimuth)])  # (y, x) towards the Sun
        ax.imshow(
            b.smooth[cy - reach : cy + reach + 1, cx - reach : cx + reach + 1],
            cmap="gray",
            vmin=-0.6,
            vmax=0.6,
        )
        ax.plot(*(reach + np.array([[-38], [38]]) * step[::-1]).T, color=color, linewidth=1, linestyle=":")
        tip, tail = reach + 36 * step[::-1], reach + 24 * step[::-1]
        ax.annotate("", tip, tail, arrowprops={"arrowstyle": "->", "color": ORANGE, "linewidth": 2})
        said = f"confidence {june.confidence[chosen]:.2f}, shade beside {-column['shade_beside'][chosen]:.1f}"
        ax.set(title=name, xlabel=said, xticks=[], yticks=[])
        r = np.arange(-38, 39)
        across = np.arange(-2, 3)[:, None] * step[::-1, None, None] * np.array([1, -1])[:, None, None]
        lines = b.smooth[
            np.round(cy + r * step[0] + across[0]).astype(int),
            np.round(cx + r * step[1] + across[1]).astype(int),
        ]
        axes[2].plot(r, lines.mean(axis=0), color=color, label=name)
    axes[2].axhline(0, color=INK, linewidth=0.6)
    axes[2].set(
        xlabel="pixels toward the Sun", ylabel="I / L - 1", title="along the Sun's line (arrow: to the Sun)"
    )
    axes[2].legend(frameon=False)
    return figure


def judged(april: Searched, june: Searched) -> plt.Figure:
    """What the confidence says of every candidate of two images, and the curve that calibrates it."""
    model = judge._trees("bright")[0]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
    left.plot(model["score"], model["probability"], color=BLUE)
    left.set(
        xlabel="sum of the trees (log-odds before calibration)", ylabel="albedo_confidence", xlim=(-10, 10)
    )
    left.set_title("calibration curve of the bright model", fontsize=10)
    for searched, color, name in ((april, BLUE, "15 April, 22,000 km"), (june, ORANGE, "6 June, 4,400 km")):
        right.hist(searched.confidence, np.linspace(0, 1, 21), histtype="step", color=color, label=name)
    right.set(xlabel="albedo_confidence", ylabel="candidates", yscale="log")
    right.set_title("all bright candidates of two sample images", fontsize=10)
    right.legend(frameon=False, fontsize=9)
    return figure


def draw(folder: Path) -> list[Path]:
    """Write every figure that is not there or older than the code."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = [Path(__file__), *(ROOT / "src" / "brightspot").rglob("*.py")]
    newest = max(path.stat().st_mtime for path in sources)
    paths = [folder / f"{name}.png" for name in ("levelling", "saddle", "slopes", "pairs", "judged")]
    if all(path.is_file() and path.stat().st_mtime > newest for path in paths):
        return paths
    april, june = search("FC2*_15105*.IMG"), search("FC2*_15157*.IMG")
    drawn = (levelling(april), saddle(april), slopes(), pairs(june), judged(april, june))
    for path, figure in zip(paths, drawn, strict=True):
        figure.savefig(path, dpi=110)
        plt.close(figure)
    return paths


if __name__ == "__main__":
    for path in draw(Path(__file__).parent / "_generated" / "figures"):
        print(path)
