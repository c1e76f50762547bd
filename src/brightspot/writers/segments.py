"""Footprints as images: a pixel holds the number of the detection that it belongs to."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from brightspot.outline import fill_runs
from brightspot.writers.findings import Findings, FrameFindings, ascii_text
from brightspot.writers.folder import FrameFolder
from brightspot.writers.tables import replacing


def write_segmentation(findings: Findings, path: Path) -> list[str]:
    """A gzipped FITS and a TIFF per frame with detections: 0, or the ``detection_id`` of the footprint.

    In the TIFF row 0 is the top. In the FITS the first row is the bottom, as FITS has it, so that the picture
    stands upright in DS9 and lies on a Framing Camera FITS of the same frame.
    """
    lost = 0
    with FrameFolder(path, ".fits.gz", ".tif") as folder:
        for frame in findings.frames():
            if not frame.detections or frame.shape is None:
                continue
            lost += sum(outline is None for outline in frame.outlines)
            labels = segmentation(frame)
            with replacing(folder.file(frame.name, ".fits.gz")) as temporary:
                _write_fits(temporary, labels, frame.name, findings)
            with replacing(folder.file(frame.name, ".tif")) as temporary:
                _write_tiff(temporary, labels, frame.name)
    return [f"{lost} detections are not in their segmentation: no footprint of them is known"] if lost else []


def segmentation(frame: FrameFindings) -> np.ndarray:
    """(rows, columns) int32: the number of the detection whose footprint a pixel belongs to; 0 = none."""
    assert frame.shape is not None
    labels = np.zeros(frame.shape, np.int32)
    for outline in frame.outlines:
        if outline is not None:
            fill_runs(labels, outline.detection_id, outline.runs)
    return labels


def _write_fits(path: Path, labels: np.ndarray, name: str, findings: Findings) -> None:
    import gzip
    import io

    from astropy.io import fits

    header = fits.Header({"ORIGIN": findings.facts["creator"], "OBJECT": "Ceres", "BUNIT": ""})
    header.add_comment(f"frame: {ascii_text(name)}")
    header.add_comment("0, or the detection_id of the footprint. Row 1 is the bottom of the picture.")
    plain = io.BytesIO()
    fits.PrimaryHDU(np.ascontiguousarray(labels[::-1]), header=header).writeto(plain)
    # mtime 0: the same results make the same bytes
    path.write_bytes(gzip.compress(plain.getvalue(), 6, mtime=0))


def _write_tiff(path: Path, labels: np.ndarray, name: str) -> None:
    import tifffile

    kind = np.uint16 if labels.max() < 2**16 else np.int32
    about = f"brightspot segmentation of {ascii_text(name)}"
    tifffile.imwrite(path, labels.astype(kind), compression="zlib", description=about, metadata=None)
