"""The picture of one frame and its spots, painted fast: one is made for every frame of a batch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from brightspot.errors import UsageError
from brightspot.figure import marks
from brightspot.figure.grey import Box, display_grey, lit_box, pixel_window
from brightspot.figure.paint import Sheet
from brightspot.figure.places import Rect, place_texts
from brightspot.finder import Detection
from brightspot.frame import Frame
from brightspot.writers import replacing, saving

if TYPE_CHECKING:
    from PIL import Image

PIXEL_KINDS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
"""Suffixes painted pixel by pixel."""

VECTOR_KINDS = (".pdf", ".svg")
"""Suffixes drawn by matplotlib: lines and texts stay lines and texts."""

HEAD, PAD = 30, 10
"""Height of the title's line and distance of things from edges, pixels at 100 dpi."""

HEAD_TEXT, KEY_TEXT, ID_TEXT, BAR_TEXT, ARROW_TEXT, CUTOUT_TEXT, GRID_TEXT = 13, 11.5, 11.5, 13, 12, 11, 10
"""Sizes of texts, pixels at 100 dpi."""

INKS = (*marks.MEANINGS, marks.INK)


class _Layout(NamedTuple):
    """Where things are on the sheet, pixels: ``picture`` shows ``box``, centred in ``area``."""

    width: int
    height: int
    head: int
    side: int
    zoom: float
    area: Rect
    picture: Rect
    box: Box
    scale: float

    def at(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Sheet pixels (edges at whole numbers) of frame pixels."""
        return (
            self.picture.left + (x - self.box[0]) * self.scale,
            self.picture.top + (y - self.box[1]) * self.scale,
        )


def save_overlay(
    frame_or_detection: Frame | Detection,
    path: str | os.PathLike[str],
    *,
    stretch: str = "asinh",
    size_px: int | None = None,
    dpi: int = 100,
    cutouts: bool = True,
) -> Path:
    """Write the picture of one frame or detection to a PNG (or whatever the suffix says).

    Outlines run just outside of the footprints; their colours are explained in the picture.

    Parameters
    ----------
    frame_or_detection : Frame or Detection
        What to draw.
    path : path-like
        Where to (.png, .jpg, .tif, .webp, .pdf, .svg); an existing file is replaced in one step, never left
        half written.
    stretch : str
        One of `STRETCHES`.
    size_px : int, optional
        Longer side of the picture in pixels at 100 dpi; by default 1024, less for frames below 256 pixels.
    dpi : int
        Resolution; 100 for a screen, 300 for print (the same layout, three times the pixels).
    cutouts : bool
        Show the strongest spots enlarged beside the picture.

    Returns
    -------
    Path
        The path written.

    Raises
    ------
    UsageError
        If the stretch or the file type is unknown.
    BrightspotError
        If the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower() or ".png"
    if suffix not in (*PIXEL_KINDS, *VECTOR_KINDS):
        raise UsageError(f"{path}: pictures are written as .png, .jpg, .tif, .webp, .pdf or .svg")
    if suffix in VECTOR_KINDS:
        from brightspot.figure.axes import overlay_figure

        size = picture_size(marks.parts_of(frame_or_detection)[0].shape, size_px)
        figure = overlay_figure(frame_or_detection, stretch=stretch, size=size, cutouts=cutouts)
        return save_figure(figure, path, dpi=dpi)
    picture = paint_overlay(frame_or_detection, stretch=stretch, size_px=size_px, dpi=dpi, cutouts=cutouts)
    with saving(path), replacing(path) as temporary:
        if suffix == ".png":
            picture.save(temporary, "PNG", compress_level=1, dpi=(dpi, dpi))
        else:
            picture.convert("RGB").save(temporary, PIXEL_KINDS[suffix], dpi=(dpi, dpi), quality=90)
    return path


def save_figure(figure: Any, path: str | os.PathLike[str], *, dpi: int = 100) -> Path:
    """Write a matplotlib figure in one step; an existing file is never left half written.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What to write.
    path : path-like
        Where to; the suffix says the kind.
    dpi : int
        Resolution.

    Raises
    ------
    UsageError
        If the file type is unknown.
    BrightspotError
        If the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower() or ".png"
    if suffix not in (*PIXEL_KINDS, *VECTOR_KINDS):
        raise UsageError(f"{path}: pictures are written as .png, .jpg, .tif, .webp, .pdf or .svg")
    with saving(path), replacing(path) as temporary:
        figure.savefig(temporary, format=suffix[1:], dpi=dpi, facecolor=figure.get_facecolor())
    return path


def picture_size(shape: tuple[int, int], size_px: int | None) -> tuple[float, float]:
    """Width and height of the picture at 100 dpi; very flat or tall frames are letterboxed."""
    rows, columns = shape
    size_px = size_px or int(np.clip(4 * max(rows, columns), 480, 1024))
    aspect = float(np.clip(columns / rows, 0.5, 2.5))
    return size_px * min(1.0, aspect), size_px / max(1.0, aspect)


def paint_overlay(
    frame_or_detection: Frame | Detection,
    *,
    stretch: str = "asinh",
    size_px: int | None = None,
    dpi: int = 100,
    cutouts: bool = True,
) -> Image.Image:
    """The picture of one frame or detection as a Pillow image, mode P.

    Parameters
    ----------
    frame_or_detection, stretch, size_px, dpi, cutouts
        As for `save_overlay`.

    Returns
    -------
    PIL.Image.Image
    """
    frame, detection = marks.parts_of(frame_or_detection)
    spots = [] if detection is None else marks.spots_of(detection)
    footprints = {} if detection is None else marks.footprint_boxes(detection.segmentation)
    boxes = marks.cutout_boxes(detection, spots, footprints) if detection is not None and cutouts else []
    seen = {spot.color for spot in spots}
    key = [(color, word) for color, word in marks.MEANINGS.items() if color in seen]
    plan = _layout(frame_or_detection, picture_size(frame.shape, size_px), dpi / 100, bool(boxes), key)
    sheet = Sheet(plan.width, plan.height, INKS, plan.zoom)
    _paint_ground(sheet, plan, frame, stretch)
    taken = _paint_bar_and_arrows(sheet, plan, frame)
    if detection is not None:
        taken += _paint_spots(sheet, plan, detection, spots, footprints, taken)
        for k, box in enumerate(boxes):
            tile = _cutout_sheet(plan.side, plan.zoom, detection, spots, box)
            sheet.inset(tile, plan.width - plan.side, plan.head + k * plan.side)
    _paint_graticule(sheet, plan, frame, taken)
    _paint_head(sheet, plan, frame_or_detection, key)
    return sheet.finish()


def _layout(
    frame_or_detection: Frame | Detection,
    size: tuple[float, float],
    zoom: float,
    with_cutouts: bool,
    key: list[tuple[str, str]],
) -> _Layout:
    frame = marks.parts_of(frame_or_detection)[0]
    width, height = (round(v * zoom) for v in size)
    side = height // marks.MAX_CUTOUTS if with_cutouts else 0
    measure = Sheet(1, 1, (), zoom)
    title_width = measure.text_size(marks.title(frame_or_detection), HEAD_TEXT)[0]
    two_lines = title_width + _key_width(measure, key) > width + side - 5 * PAD * zoom and bool(key)
    head = round(HEAD * zoom * (1.75 if two_lines else 1.0))
    box = lit_box(frame)
    scale = min(width / (box[2] - box[0]), height / (box[3] - box[1]))
    shown_width = min(width, max(1, round((box[2] - box[0]) * scale)))
    shown_height = min(height, max(1, round((box[3] - box[1]) * scale)))
    left, top = (width - shown_width) // 2, head + (height - shown_height) // 2
    picture = Rect(left, top, left + shown_width, top + shown_height)
    area = Rect(0, head, width, head + height)
    return _Layout(width + side, height + head, head, side, zoom, area, picture, box, scale)


def _paint_ground(sheet: Sheet, plan: _Layout, frame: Frame, stretch: str) -> None:
    window = pixel_window(frame, plan.box)
    x0, y0 = window[1].start - 0.5, window[0].start - 0.5
    left, top, right, bottom = plan.box
    sheet.image(
        display_grey(frame, stretch, plan.box),
        plan.picture,
        Rect(left - x0, top - y0, right - x0, bottom - y0),
    )


def _paint_bar_and_arrows(sheet: Sheet, plan: _Layout, frame: Frame) -> list[Rect]:
    """Scale bar in the lower left, north and Sun in the lower right; returns what they cover."""
    area, zoom = plan.area, plan.zoom
    covered = []
    bar = marks.scale_bar(frame, (area.right - area.left) / plan.scale)
    if bar is not None and area.bottom - area.top > 60 * zoom:
        covered.append(
            _paint_bar(sheet, bar, plan.scale, area.left + 2 * PAD * zoom, area.bottom - PAD * zoom, BAR_TEXT)
        )
    directions = marks.arrow_directions(frame, plan.box)
    length = 0.05 * max(area.right - area.left, area.bottom - area.top)
    reach = 1.55 * length
    if directions and min(area.right - area.left, area.bottom - area.top) > 2 * reach:
        x, y = area.right - PAD * zoom - reach, area.bottom - PAD * zoom - reach
        for name, (tail, shaft, text) in marks.arrow_places(directions).items():
            ends = [(x + length * u, y + length * v) for u, v in (tail, shaft, text)]
            sheet.arrow(marks.INK, *ends[0], ends[1][0] - ends[0][0], ends[1][1] - ends[0][1])
            w, h = sheet.text_size(name, ARROW_TEXT)
            cx, cy = ends[2]
            sheet.text(marks.INK, name, Rect(cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2), ARROW_TEXT)
        covered.append(Rect(x - reach, y - reach, x + reach, y + reach))
    return covered


def _paint_bar(
    sheet: Sheet, bar: tuple[float, str], scale: float, left: float, bottom: float, size: float
) -> Rect:
    """A scale bar with its text above; returns what they cover."""
    thick = max(2.0, round(0.4 * size * sheet.zoom))
    width, height = sheet.text_size(bar[1], size)
    sheet.bar(marks.INK, left, bottom - thick, left + bar[0] * scale, bottom)
    foot = bottom - thick - 0.5 * size * sheet.zoom
    sheet.text(marks.INK, bar[1], Rect(left, foot - height, left + width, foot), size)
    return Rect(left, foot - height, left + max(width, bar[0] * scale), bottom)


def _paint_graticule(sheet: Sheet, plan: _Layout, frame: Frame, taken: list[Rect]) -> None:
    grid = marks.graticule(frame, plan.box)
    if not grid:
        return
    curves = [np.stack(plan.at(line.points[:, 0], line.points[:, 1]), axis=-1) for line in grid]
    sheet.lines(curves, 1.0, 58, within=plan.picture)
    for line in grid:
        if line.place is None:
            continue
        x, y = plan.at(*line.place)
        width, height = sheet.text_size(line.text, GRID_TEXT)
        box = Rect(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        if not any(_touch(box, other) for other in taken):
            sheet.text(sheet.WHITE, line.text, box, GRID_TEXT, rim=90, strength=150)


def _touch(a: Rect, b: Rect) -> bool:
    return a.left < b.right and b.left < a.right and a.top < b.bottom and b.top < a.bottom


def _paint_spots(
    sheet: Sheet,
    plan: _Layout,
    detection: Detection,
    spots: list[marks.Spot],
    footprints: dict[int, tuple[slice, slice]],
    taken: list[Rect],
) -> list[Rect]:
    """Outlines of all footprints, ids of the strongest; returns what the ids cover."""
    anchors = []
    for spot in spots:
        x, y = plan.at(spot.x, spot.y)
        window = footprints.get(spot.number)
        if window is None:
            anchors.append(Rect(x, y, x, y))
            continue
        mask = detection.segmentation[window] == spot.number
        corner = plan.at(window[1].start - 0.5, window[0].start - 0.5)
        box = _paint_outline(sheet, spot.color, mask, corner, plan.scale)
        # Ragged footprints reach far: ids stay near the middle of the ground they cover.
        near = 0.7 * plan.scale * float(np.sqrt(np.count_nonzero(mask))) + 2 * plan.zoom
        anchors.append(
            Rect(
                max(box.left, x - near),
                max(box.top, y - near),
                min(box.right, x + near),
                min(box.bottom, y + near),
            )
        )
    named = spots[: marks.MAX_LABELS]
    sizes = [sheet.text_size(str(spot.number), ID_TEXT) for spot in named]
    places = place_texts(anchors[: len(named)], sizes, plan.area, taken, gap=4 * plan.zoom)
    for spot, place in zip(named, places, strict=True):
        if place is not None:
            sheet.text(spot.color, str(spot.number), place, ID_TEXT)
    return [place for place in places if place is not None]


def _paint_outline(
    sheet: Sheet, color: str, mask: np.ndarray, place: tuple[float, float], scale: float
) -> Rect:
    """A line just outside of a footprint, itself rimmed; returns the rectangle around it.

    ``place`` is the sheet's point under the outer corner of the mask's first pixel.
    """
    width, rim = max(1, round((1.2 if scale < 1.8 else 1.6) * sheet.zoom)), max(1, round(sheet.zoom))
    inner, left, top = _on_sheet(mask, place, scale, width + rim)
    line = _grown(inner, width)
    sheet.stamp("rim", _grown(line, rim) & ~line, left, top, level=150)
    sheet.stamp(color, line & ~inner, left, top)
    rows, columns = inner.shape
    return Rect(left + rim, top + rim, left + columns - rim, top + rows - rim)


def _on_sheet(
    mask: np.ndarray, place: tuple[float, float], scale: float, margin: int
) -> tuple[np.ndarray, int, int]:
    """A mask in sheet pixels with a margin around it, and its left and top edge."""
    axes, starts = [], []
    for start, count in zip(place, mask.shape[::-1], strict=True):
        first, last = int(np.floor(start)), int(np.ceil(start + count * scale))
        axes.append((np.arange(first, last) + 0.5 - start) / scale)
        starts.append(first - margin)
    u, v = (np.floor(axis).astype(int) for axis in axes)
    within = np.ix_((v >= 0) & (v < mask.shape[0]), (u >= 0) & (u < mask.shape[1]))
    out = np.zeros((len(v), len(u)), bool)
    out[within] = mask[np.ix_(v[(v >= 0) & (v < mask.shape[0])], u[(u >= 0) & (u < mask.shape[1])])]
    if not out.any():  # so small that no sheet pixel's middle lies in it
        out[len(v) // 2, len(u) // 2] = True
    return np.pad(out, margin), starts[0], starts[1]


def _grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    """A mask and what is up to ``pixels`` from it."""
    for k in range(pixels):
        wider = mask.copy()
        wider[1:] |= mask[:-1]
        wider[:-1] |= mask[1:]
        # Every other step takes the diagonals along: corners come out round.
        base = wider.copy() if k % 2 == 0 else mask
        wider[:, 1:] |= base[:, :-1]
        wider[:, :-1] |= base[:, 1:]
        mask = wider
    return mask


def _cutout_sheet(
    side: int, zoom: float, detection: Detection, spots: list[marks.Spot], box: tuple[int, int, int]
) -> Sheet:
    """One spot enlarged, with its size, confidence and a bar."""
    x, y, half = box
    grey, labels = marks.cutout(detection, x, y, half)
    sheet = Sheet(side, side, INKS, zoom)
    edge = max(1, round(zoom))  # a black line parts it from its neighbours
    place = Rect(edge, edge, side, side)
    scale = (side - edge) / grey.shape[1]
    sheet.image(grey, place)
    colors = {spot.number: spot.color for spot in spots}
    outlines = {}
    for number, window in marks.footprint_boxes(labels).items():
        if number in colors:
            corner = (edge + window[1].start * scale, edge + window[0].start * scale)
            outlines[number] = _paint_outline(sheet, colors[number], labels[window] == number, corner, scale)
    pad = 0.6 * PAD * zoom
    near = [spot for spot in spots if max(abs(spot.x - x), abs(spot.y - y)) < half]
    taken = [_paint_lines(sheet, [spot.text for spot in near[:3]], edge + pad, edge + pad)]
    bar = marks.scale_bar(detection.frame, grey.shape[1], 0.4)
    if bar is not None:
        taken.append(_paint_bar(sheet, bar, scale, edge + pad, side - pad, GRID_TEXT))
    if len(outlines) > 1:  # otherwise the first line says which it is
        sizes = [sheet.text_size(str(number), CUTOUT_TEXT) for number in outlines]
        places = place_texts(list(outlines.values()), sizes, place, taken, gap=3 * zoom)
        for number, text_place in zip(outlines, places, strict=True):
            if text_place is not None:
                sheet.text(colors[number], str(number), text_place, CUTOUT_TEXT)
    return sheet


def _paint_lines(sheet: Sheet, lines: list[str], left: float, top: float) -> Rect:
    """White lines of text below one another; returns what they cover."""
    right, bottom = left, top
    for text in lines:
        width, height = sheet.text_size(text, CUTOUT_TEXT)
        sheet.text(Sheet.WHITE, text, Rect(left, bottom, left + width, bottom + height), CUTOUT_TEXT)
        right, bottom = max(right, left + width), bottom + 1.9 * height
    return Rect(left, top, right, bottom)


def _paint_head(
    sheet: Sheet, plan: _Layout, frame_or_detection: Frame | Detection, key: list[tuple[str, str]]
) -> None:
    """Name, scale and number on the left; what the colours mean on the right, or below."""
    pad = PAD * plan.zoom
    middle = HEAD * plan.zoom / 2
    for most in (60, 40, 24, 12):
        text = marks.title(frame_or_detection, most)
        width, height = sheet.text_size(text, HEAD_TEXT)
        if width < plan.width - 2 * pad:
            break
    sheet.text(Sheet.WHITE, text, Rect(pad, middle - height / 2, pad + width, middle + height / 2), HEAD_TEXT)
    total = _key_width(sheet, key)
    x = plan.width - pad - total
    if plan.head > HEAD * plan.zoom:
        x, middle = pad, middle + (plan.head - HEAD * plan.zoom) * 0.9
    for color, word in key:
        width, height = sheet.text_size(word, KEY_TEXT)
        sheet.bar(color, x, middle - height / 2, x + height, middle + height / 2)
        x += 1.6 * height
        sheet.text(Sheet.WHITE, word, Rect(x, middle - height / 2, x + width, middle + height / 2), KEY_TEXT)
        x += width + 1.6 * height


def _key_width(sheet: Sheet, key: list[tuple[str, str]]) -> float:
    sizes = [sheet.text_size(word, KEY_TEXT) for _, word in key]
    return sum(width + 3.2 * height for width, height in sizes) - (1.6 * sizes[-1][1] if sizes else 0.0)
