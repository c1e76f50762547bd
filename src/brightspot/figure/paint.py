"""A picture painted without matplotlib: grey ground, a few coloured inks, anti-aliased marks.

Grey and inks share one palette, so that a finished picture is one byte per pixel: it is compressed in a
third of the time that RGB takes.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from brightspot.figure.places import Rect

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFont import FreeTypeFont


GREYS = 193
"""Grey levels of the palette: a step is 1.3 of 255, below what the eye tells apart."""

TINTS = 9
"""Steps of each ink from nearly black to full, for soft edges over dark rims."""

MAX_INKS = (256 - GREYS) // TINTS

Color = tuple[int, int, int]


def rgb(color: str) -> Color:
    """``"#E69F00"`` as three numbers."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


@functools.lru_cache(maxsize=16)
def font(size_px: int) -> FreeTypeFont:
    """DejaVu Sans as matplotlib brings it along, found without importing matplotlib."""
    from PIL import ImageFont

    spec = importlib.util.find_spec("matplotlib")
    assert spec is not None and spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "mpl-data" / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / "DejaVuSans.ttf"), size_px)


class Sheet:
    """A sheet of grey pixels to paint on.

    Parameters
    ----------
    width, height : int
        Pixels.
    inks : sequence of str
        Up to `MAX_INKS` colours, as ``"#RRGGBB"``; marks name theirs. White needs no ink.
    zoom : float
        Pixels per point of line widths and text sizes given in pixels at 100 dpi.
    """

    WHITE = "#FFFFFF"

    def __init__(self, width: int, height: int, inks: tuple[str, ...], zoom: float = 1.0) -> None:
        assert len(inks) <= MAX_INKS
        self.width, self.height, self.zoom, self.inks = width, height, zoom, inks
        self.grey = np.zeros((height, width), np.uint8)
        self._layers: dict[str, Image.Image] = {}

    def layer(self, name: str) -> Image.Image:
        """Coverage of an ink, of ``"rim"`` (darkens) or of ``"veil"`` (whitens), mode L, made when needed."""
        from PIL import Image

        if name not in self._layers:
            self._layers[name] = Image.new("L", (self.width, self.height))
        return self._layers[name]

    def image(self, grey: np.ndarray, place: Rect, part: Rect | None = None) -> None:
        """Put grey levels, or a part of them (edges from 0), into a rectangle, enlarged or shrunk to fill it.

        Much enlarged pixels stay square; shrunk ones are averaged.
        """
        from PIL import Image

        left, top, right, bottom = (round(v) for v in place)
        part = part or Rect(0, 0, grey.shape[1], grey.shape[0])
        ratio = (right - left) / (part.right - part.left)
        how = Image.Resampling
        method = how.NEAREST if ratio >= 2.5 else how.BICUBIC if ratio > 1 else how.HAMMING
        resized = Image.fromarray(grey).resize((right - left, bottom - top), method, box=part)
        self.grey[top:bottom, left:right] = np.asarray(resized)

    def stamp(self, color: str, mask: np.ndarray, left: int, top: int, level: int = 255) -> None:
        """Cover the pixels of a bool mask whose corner is at (left, top); what lies outside is cut off."""
        from PIL import Image

        self.layer(color).paste(level, (left, top), Image.fromarray(mask))

    def inset(self, other: Sheet, left: int, top: int) -> None:
        """Put another sheet of the same inks onto this one."""
        from PIL import Image

        height, width = other.grey.shape
        self.grey[top : top + height, left : left + width] = other.grey
        for name in {*self._layers, *other._layers}:
            tile = other._layers.get(name) or Image.new("L", (width, height))
            self.layer(name).paste(tile, (left, top))

    def bar(self, color: str, left: float, top: float, right: float, bottom: float) -> None:
        """A filled rectangle with a dark rim."""
        from PIL import ImageDraw

        x0, y0, x1, y1 = (round(v) for v in (left, top, right, bottom))
        rim = max(1, round(self.zoom))
        outer = (x0 - rim, y0 - rim, x1 + rim - 1, y1 + rim - 1)
        ImageDraw.Draw(self.layer("rim")).rectangle(outer, fill=255)
        inner = (x0, y0, max(x1 - 1, x0), max(y1 - 1, y0))
        ImageDraw.Draw(self.layer(color)).rectangle(inner, fill=255)

    def text_size(self, text: str, size: float) -> tuple[float, float]:
        """Width and height of a line of text, pixels; size in pixels at 100 dpi."""
        f = self._font(size)
        return float(f.getlength(text)), float(0.74 * f.size)

    def text(
        self, color: str, text: str, box: Rect, size: float, *, rim: int = 255, strength: int = 255
    ) -> None:
        """A line of text whose capitals fill a rectangle as from `text_size`; white text goes to the veil."""
        from PIL import ImageDraw

        place = (box.left, box.bottom)
        f = self._font(size)
        stroke = max(1, round(1.6 * self.zoom))
        if rim:
            draw = ImageDraw.Draw(self.layer("rim"))
            draw.text(place, text, font=f, fill=rim, anchor="ls", stroke_width=stroke, stroke_fill=rim)
        layer = self.layer("veil" if color == self.WHITE else color)
        ImageDraw.Draw(layer).text(place, text, font=f, fill=strength, anchor="ls")

    def arrow(self, color: str, x: float, y: float, dx: float, dy: float) -> None:
        """An arrow from (x, y) along (dx, dy), with a dark rim."""
        length = float(np.hypot(dx, dy))
        along = np.array([dx, dy]) / length
        across = np.array([-along[1], along[0]])
        head, shaft = 7.0 * self.zoom, 0.75 * self.zoom
        tip, neck, tail = (
            np.array([x + dx, y + dy]),
            np.array([x + dx, y + dy]) - head * along,
            np.array([x, y]),
        )
        outline = np.array(
            [tip, neck + 0.4 * head * across, neck + shaft * across, tail + shaft * across,
             tail - shaft * across, neck - shaft * across, neck - 0.4 * head * across]
        )  # fmt: skip
        self._soft(color, [outline], rim=1.3 * self.zoom)

    def lines(self, curves: list[np.ndarray], width: float, strength: int, within: Rect) -> None:
        """Thin white curves over a part of the picture; each (n, 2) sheet pixels, broken at NaN."""
        from PIL import Image, ImageDraw

        fine = self._fineness
        left, top, right, bottom = (round(v) for v in within)
        mask = Image.new("L", ((right - left) * fine, (bottom - top) * fine))
        draw = ImageDraw.Draw(mask)
        broad = max(1, round(width * self.zoom * fine))
        for curve in curves:
            hidden = np.isnan(curve[:, 0])
            points = (curve - (left, top)) * fine
            for piece in np.split(np.arange(len(curve)), np.flatnonzero(np.diff(hidden)) + 1):
                if len(piece) > 1 and not hidden[piece[0]]:
                    draw.line(points[piece].ravel().tolist(), fill=strength, width=broad)
        self._merge("veil", mask.reduce(fine), left, top)

    @property
    def _fineness(self) -> int:
        """Subpixels each way for soft edges: fewer where pixels are small anyway."""
        return 3 if self.zoom < 2 else 2

    def _font(self, size: float) -> FreeTypeFont:
        return font(max(6, round(size * self.zoom)))

    def _soft(self, color: str, polygons: list[np.ndarray], rim: float) -> None:
        """Filled polygons with soft edges, painted on a small tile of finer pixels."""
        from PIL import Image, ImageDraw

        fine = self._fineness
        points = np.concatenate(polygons)
        x0, y0 = (int(v) for v in np.floor(points.min(axis=0) - rim - 2))
        x1, y1 = (int(v) for v in np.ceil(points.max(axis=0) + rim + 2))
        for name, widen in (("rim", rim), (color, 0.0)):
            tile = Image.new("L", ((x1 - x0) * fine, (y1 - y0) * fine))
            draw = ImageDraw.Draw(tile)
            for polygon in polygons:
                corners = [tuple(p) for p in ((polygon - (x0, y0)) * fine).tolist()]
                draw.polygon(corners, fill=255)
                if widen:
                    draw.line([*corners, corners[0]], fill=255, width=round(2 * widen * fine), joint="curve")
            self._merge(name, tile.reduce(fine), x0, y0)

    def _merge(self, name: str, tile: Image.Image, left: int, top: int) -> None:
        """Coverage is the greater of what is there and the tile."""
        from PIL import ImageChops

        layer = self.layer(name)
        box = (left, top, left + tile.width, top + tile.height)
        layer.paste(ImageChops.lighter(layer.crop(box), tile), (left, top))

    def finish(self) -> Image.Image:
        """The picture, mode P: rims over the ground, veil over both, inks over all."""
        from PIL import Image, ImageChops

        ground = Image.fromarray(self.grey)
        if (rim := self._layers.get("rim")) is not None:
            ground = ImageChops.multiply(ground, ImageChops.invert(rim))
        if (veil := self._layers.get("veil")) is not None:
            ground = ImageChops.screen(ground, veil)
        index = ground.point(_LEVEL_OF)
        for k, color in enumerate(self.inks):
            layer = self._layers.get(color)
            box = layer.getbbox() if layer is not None else None
            if layer is None or box is None:
                continue
            cover = layer.crop(box)
            tint = [GREYS + k * TINTS + max(t - 1, 0) for t in _TINT_OF]
            index.paste(cover.point(tint), box, cover.point(_MARKED, "1"))
        index.putpalette(self._palette())
        return index

    def _palette(self) -> list[int]:
        greys = np.repeat(np.round(np.linspace(0, 255, GREYS)), 3)
        steps = (np.arange(TINTS) + 1) / TINTS
        tints = [np.round(np.outer(steps, rgb(color))).ravel() for color in self.inks]
        return [int(v) for v in np.concatenate([greys, *tints])]


_LEVEL_OF = [round(v * (GREYS - 1) / 255) for v in range(256)]
_TINT_OF = [round(v * TINTS / 255) for v in range(256)]
_MARKED = [255 if t else 0 for t in _TINT_OF]
