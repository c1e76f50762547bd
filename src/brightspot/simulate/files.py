"""Rendered frames as files: PDS3 IMG, FITS with a detached label, PNG, JPEG, animated GIF, and truth.csv."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from brightspot.errors import UsageError
from brightspot.geometry import ViewingGeometry
from brightspot.simulate import labels
from brightspot.simulate.labels import ImageObject
from brightspot.simulate.rendering import Rendered

if TYPE_CHECKING:
    import pandas

FORMATS = ("img", "fits", "png", "jpg", "gif")
"""Formats that `write` knows."""

RECORD_BYTES, FITS_BLOCK = 512, 2880


def write(
    rendered: Rendered | Sequence[Rendered],
    directory: Path | str,
    format: str = "img",
    *,
    level: str = "1B",
    name: str | None = None,
    line_display: str = "UP",
    sample_display: str = "RIGHT",
    quality: int = 92,
    enlarge: int = 1,
    stretch: tuple[float, float] | None = None,
    gamma: float = 1.0,
    seconds: float = 0.2,
) -> list[Path]:
    """Write a rendered frame, and its truth as rows of ``truth.csv`` beside it.

    Parameters
    ----------
    rendered : Rendered or sequence of Rendered
        Several only for ``gif``.
    directory : Path
        Made where it is missing.
    format : str
        One of `FORMATS`: PDS3 ``.IMG`` with attached label, ``.FIT`` with detached ``.LBL``, 16-bit PNG,
        8-bit JPEG, animated GIF.
    level : str
        ``"1A"`` (counts, no geometry in the label) or ``"1B"`` (radiance), for img and fits.
    name : str, optional
        File name without ending; by default the archive's pattern.
    line_display, sample_display : str
        ``"UP"`` or ``"DOWN"``, ``"RIGHT"`` or ``"LEFT"``: how rows and columns are stored (img, fits).
    quality : int
        JPEG quality.
    enlarge : int
        Pictures only: every pixel becomes this many squared, smoothed.
    stretch : tuple of float, optional
        Pictures only: values that become black and white; by default 0 and just above
        all but the brightest 0.1 % of the lit ground.
    gamma : float
        Pictures only: exponent of the display stretch.
    seconds : float
        Time per picture of an animation.

    Returns
    -------
    list of Path
        What was written, ``truth.csv`` last.

    Raises
    ------
    UsageError
        Unknown format, level or direction.
    """
    if format not in FORMATS:
        raise UsageError(f"format {format!r} is unknown: use one of {', '.join(FORMATS)}")
    if level not in ("1A", "1B"):
        raise UsageError(f"level {level!r} cannot be written: use '1A' or '1B'")
    if line_display not in ("UP", "DOWN") or sample_display not in ("RIGHT", "LEFT"):
        raise UsageError("rows are stored 'UP' or 'DOWN', columns 'RIGHT' or 'LEFT'")
    frames = [rendered] if isinstance(rendered, Rendered) else list(rendered)
    if not frames or (len(frames) > 1 and format != "gif"):
        raise UsageError("only an animated GIF holds several frames: write the others one by one")
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    require_truth_table(directory / "truth.csv")
    stem = directory / (name or labels.product_name(frames[0].scene, level))
    directions = (line_display, sample_display)
    if format == "img":
        paths = [_write_img(frames[0], stem, level, directions)]
    elif format == "fits":
        paths = _write_fits(frames[0], stem, level, directions)
    else:
        paths = [_write_picture(frames, stem, format, (quality, enlarge, gamma, seconds), stretch)]
    shown = paths[-1].name
    truths = [
        _enlarged(r.truth, enlarge if format in ("png", "jpg", "gif") else 1).assign(
            frame=f"{shown}#{k:03d}" if format == "gif" else shown
        )
        for k, r in enumerate(frames)
    ]
    return [*paths, _append_truth(truths, directory / "truth.csv")]


def stored(image: np.ndarray, directions: tuple[str, str]) -> np.ndarray:
    """An upright image as its rows and columns lie in a file with these display directions."""
    out = image[::-1] if directions[0] == "UP" else image
    return np.ascontiguousarray(out[:, ::-1] if directions[1] == "LEFT" else out)


def _image_object(rendered: Rendered, level: str, directions: tuple[str, str], kind: str) -> ImageObject:
    scene = rendered.scene
    line, sample = labels.first_line_sample(scene, *directions)
    rows, columns = scene.shape
    per_nm = "" if scene.filter_number == 1 else "/nm"
    if level == "1A":
        sample_type = "LSB_UNSIGNED_INTEGER" if kind == "img" else "MSB_UNSIGNED_INTEGER"
        return ImageObject("IMAGE", rows, columns, 16, sample_type, line, sample, "DU")
    sample_type = "PC_REAL" if kind == "img" else "IEEE_REAL"
    return ImageObject("IMAGE", rows, columns, 32, sample_type, line, sample, f"W/m**2/sr{per_nm}")


def _write_img(rendered: Rendered, stem: Path, level: str, directions: tuple[str, str]) -> Path:
    """Attached label, HISTORY, image objects, each on a record boundary."""
    path = stem.with_name(stem.name + ".IMG")
    pixels = rendered.dn.astype("<u2") if level == "1A" else rendered.radiance.astype("<f4")
    objects = [_image_object(rendered, level, directions, "img")]
    data = [stored(pixels, directions)]
    if level == "1A" and rendered.scene.shape == (1024, 1024):
        strips = _dark_strips(rendered)
        objects += [o for o, _ in strips]
        data += [d for _, d in strips]
    history = labels.history_text(level, path.name).encode("ascii")
    label_records = 20
    while True:
        # The pointers' digits move the label's end: repeat until it fits.
        history_at = label_records + 1
        at = history_at + _records(len(history))
        pointers, places = [f"^HISTORY{'':<21} = {history_at}"], []
        for image in objects:
            pointers.append(f"{'^' + image.name:<29} = {at}")
            places.append(at)
            at += _records(image.n_bytes)
        head = [
            "RECORD_TYPE                   = FIXED_LENGTH",
            f"RECORD_BYTES                  = {RECORD_BYTES}",
            f"FILE_RECORDS                  = {at - 1}",
            f"LABEL_RECORDS                 = {label_records}",
            f'FILE_NAME                     = "{path.name}"',
            "",
        ]
        text = labels.label_text(
            rendered.scene, _geometry(rendered), level, head + pointers, objects, directions
        ).encode("ascii")
        if _records(len(text)) <= label_records:
            break
        label_records = _records(len(text))
    out = bytearray((at - 1) * RECORD_BYTES)
    _place(out, text.ljust(label_records * RECORD_BYTES), 1)
    _place(out, history.ljust(_records(len(history)) * RECORD_BYTES), history_at)
    for place, array in zip(places, data, strict=True):
        _place(out, array.tobytes(), place)
    path.write_bytes(out)
    return path


def _place(out: bytearray, block: bytes, record: int) -> None:
    start = (record - 1) * RECORD_BYTES
    out[start : start + len(block)] = block


def _records(n_bytes: int) -> int:
    return -(-n_bytes // RECORD_BYTES)


def _geometry(rendered: Rendered) -> ViewingGeometry:
    geometry = rendered.frame.geometry
    if geometry is None:
        raise UsageError("this frame carries no geometry: write what `render` returned")
    return geometry


def _dark_strips(rendered: Rendered) -> list[tuple[ImageObject, np.ndarray]]:
    """The four unlit strips around the image that level 1A files hold as FRAME_2 to FRAME_5."""
    scene = rendered.scene
    rng = np.random.default_rng([scene.seed, 29])
    noise = scene.read_noise_e / scene.electrons_per_dn if scene.noise else 0.0
    out = []
    for number, lines, samples, bits, first_line, first_sample in (
        (2, 1054, 10, 32, 2, 2),
        (3, 1054, 8, 16, 2, 16),
        (4, 8, 1024, 16, 3, 35),
        (5, 8, 1024, 16, 1047, 35),
    ):
        dark = scene.bias_dn + noise * rng.standard_normal((lines, samples))
        kind = "PC_REAL" if bits == 32 else "LSB_UNSIGNED_INTEGER"
        array = dark.astype("<f4") if bits == 32 else np.rint(dark).astype("<u2")
        name = f"FRAME_{number}_IMAGE"
        out.append((ImageObject(name, lines, samples, bits, kind, first_line, first_sample, "DU"), array))
    return out


def _write_fits(rendered: Rendered, stem: Path, level: str, directions: tuple[str, str]) -> list[Path]:
    """One header block, big-endian pixels, and a label that points at the second block."""
    data_path, label_path = stem.with_name(stem.name + ".FIT"), stem.with_name(stem.name + ".LBL")
    scene = rendered.scene
    rows, columns = scene.shape
    # 14-bit counts fit signed 16 bits: no BZERO, and both integer types of a label read them.
    pixels = rendered.dn.astype(">i2") if level == "1A" else rendered.radiance.astype(">f4")
    unit = "DN" if level == "1A" else _image_object(rendered, level, directions, "fits").unit
    cards = [
        f"{'SIMPLE':<8}= {'T':>20}",
        f"{'BITPIX':<8}= {16 if level == '1A' else -32:>20}",
        f"{'NAXIS':<8}= {2:>20}",
        f"{'NAXIS1':<8}= {columns:>20}",
        f"{'NAXIS2':<8}= {rows:>20}",
        f"{'BUNIT':<8}= '{unit}'",
        f"{'TELESCOP':<8}= 'DAWN'",
        f"{'INSTRUME':<8}= '{scene.camera}'",
        f"{'FILTER':<8}= '{scene.filter_number}'",
        f"{'OBJECT':<8}= '1 CERES'",
        f"{'EXPTIME':<8}= {scene.exposure_s or 0.0:>20.6f} / s",
        f"{'DATE-OBS':<8}= '{scene.date:%Y-%m-%dT%H:%M:%S}.{scene.date.microsecond // 1000:03d}'",
        f"COMMENT {labels.NOTICE}",
        "END",
    ]
    header = "".join(card.ljust(80) for card in cards).encode("ascii").ljust(FITS_BLOCK)
    body = stored(pixels, directions).tobytes()
    body += bytes(-len(body) % FITS_BLOCK)
    data_path.write_bytes(header + body)
    image = _image_object(rendered, level, directions, "fits")
    head = [
        "RECORD_TYPE                   = FIXED_LENGTH",
        f"RECORD_BYTES                  = {FITS_BLOCK}",
        f"FILE_RECORDS                  = {1 + len(body) // FITS_BLOCK}",
        # As in the archive: the count of the label's own records, not where the image begins.
        "LABEL_RECORDS                 = 5",
        f'FILE_NAME                     = "{data_path.name}"',
        "",
        f'^HEADER                       = ("{data_path.name}", 1)',
        f'^IMAGE                        = ("{data_path.name}", 2)',
    ]
    text = labels.label_text(scene, _geometry(rendered), level, head, [image], directions)
    label_path.write_bytes(text.encode("ascii"))
    return [data_path, label_path]


def _write_picture(
    frames: list[Rendered],
    stem: Path,
    format: str,
    settings: tuple[int, int, float, float],
    stretch: tuple[float, float] | None,
) -> Path:
    """A picture stretched for the eye; the notice goes into the format's own text field."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    quality, enlarge, gamma, seconds = settings
    path = stem.with_name(f"{stem.name}.{format}")
    if stretch is None:
        stretch = (0.0, max(_white(r.radiance) for r in frames))
    levels = 65_535 if format == "png" else 255
    planes = [_stretched(r.radiance, stretch, gamma, enlarge) for r in frames]
    counts = [np.rint(p * levels).astype(np.uint16 if levels > 255 else np.uint8) for p in planes]
    images = [Image.fromarray(c) for c in counts]
    if format == "png":
        info = PngInfo()
        info.add_text("Comment", labels.NOTICE)
        images[0].save(path, pnginfo=info)
    elif format == "jpg":
        images[0].save(path, quality=quality, comment=labels.NOTICE.encode("ascii"))
    else:
        images[0].save(
            path, save_all=True, append_images=images[1:], duration=int(1000 * seconds), loop=0,
            comment=labels.NOTICE.encode("ascii"),
        )  # fmt: skip
    return path


def _white(image: np.ndarray) -> float:
    """Value shown white: above all but the brightest 0.1 % of the lit ground."""
    ground = image[image > 0.2 * np.percentile(image, 99.5)]
    return 1.1 * float(np.percentile(ground, 99.9)) if ground.size else 1.0


def _stretched(image: np.ndarray, stretch: tuple[float, float], gamma: float, enlarge: int) -> np.ndarray:
    """Values 0 to 1, enlarged by cubic splines where asked; pixel (x, y) goes to (x + 0.5) k - 0.5."""
    plane = np.clip((image - stretch[0]) / (stretch[1] - stretch[0]), 0, 1) ** gamma
    if enlarge == 1:
        return np.asarray(plane)
    from scipy.ndimage import map_coordinates

    rows, columns = plane.shape
    y = (np.arange(rows * enlarge) + 0.5) / enlarge - 0.5
    x = (np.arange(columns * enlarge) + 0.5) / enlarge - 0.5
    wide = map_coordinates(plane, np.meshgrid(y, x, indexing="ij"), order=3, mode="nearest")
    return np.clip(wide, 0, 1)


def _enlarged(truth: pandas.DataFrame, enlarge: int) -> pandas.DataFrame:
    if enlarge == 1:
        return truth
    return truth.assign(
        x=(truth["x"] + 0.5) * enlarge - 0.5,
        y=(truth["y"] + 0.5) * enlarge - 0.5,
        pixel_scale_km=truth["pixel_scale_km"] / enlarge,
        diameter_px=truth["diameter_px"] * enlarge,
    )


def require_truth_table(path: Path) -> None:
    """Refuse a ``truth.csv`` that is somebody else's, before anything is rendered or written."""
    if path.exists() and not path.read_text(errors="replace").split("\n", 1)[0].startswith("frame,"):
        raise UsageError(f"{path} is not a table of rendered spots: choose another folder")


def _append_truth(tables: list[pandas.DataFrame], path: Path) -> Path:
    """Add rows to ``truth.csv``; rows of a frame that was there already are replaced."""
    import pandas as pd

    new = pd.concat(tables, ignore_index=True)
    new = new[["frame", *(c for c in new.columns if c != "frame")]]
    if path.exists():
        old = pd.read_csv(path)
        old = old[~old["frame"].isin(new["frame"])]
        new = pd.concat([old, new], ignore_index=True) if len(old) else new
    new.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
    return path
