"""`brightspot info`."""

from __future__ import annotations

from typing import Any

from brightspot.cli.printing import (
    DONE,
    SOME_FAILED,
    Files,
    Switch,
    complain,
    frames_of,
    print_json,
    printable,
    text_of,
)
from brightspot.errors import UsageError
from brightspot.frame import Frame, locate
from brightspot.writers import write_backplanes


def info(
    paths: list[str],
    /,
    *,
    backplanes: str | None = None,
    scale_km: float | None = None,
    altitude_km: float | None = None,
    kernels: Files = (),
    json: Switch = False,
) -> int:
    """Say what each image is: camera, time, unit, lighting, scale.

    Parameters
    ----------
    paths
        Images, folders (searched through) or glob patterns.
    backplanes
        Write latitude, longitude, incidence, emission, phase, slant range, pixel area and azimuths of every
        pixel of the one image given to this file: .nc or .fits.
    scale_km
        Kilometres per pixel; overrides labels and limb.
    altitude_km
        Kilometres above the surface; overrides labels and limb.
    kernels
        SPICE kernels or metakernels.
    json
        Print JSON.
    """
    records, failed, frames = [], 0, []
    for frame, problem in frames_of(paths):
        if frame is None:
            failed += 1
            complain(problem, SOME_FAILED)
            continue
        if frame.target in (None, "CERES"):
            frame = locate(frame, scale_km=scale_km, altitude_km=altitude_km, kernels=kernels)
        if backplanes is not None:
            frames.append(frame)
        record = _facts(frame)
        records.append(record)
        if not json:
            for name, value in record.items():
                if value is not None and value != "" and value != []:
                    text = (
                        "; ".join(value)
                        if isinstance(value, list)
                        else text_of(value, ".6g" if isinstance(value, float) else "")
                    )
                    print(f"{name:>28}  {printable(text)}")
            print()
    if json:
        print_json(records)
    if backplanes is not None:
        if len(frames) != 1:
            raise UsageError(f"--backplanes needs exactly one image, not {len(frames)}")
        write_backplanes(frames[0], backplanes)
    return SOME_FAILED if failed else DONE


def _facts(frame: Frame) -> dict[str, Any]:
    """What `info` says of a frame."""
    rows, columns = frame.shape
    facts: dict[str, Any] = {
        "frame": frame.name,
        "file": str(frame.path),
        "size": f"{columns} x {rows}",
        "unit": frame.unit,
        "target": frame.target,
        "camera": frame.camera,
        "filter": frame.filter_number,
        "level": frame.level,
        "start_time": frame.start_time,
        "exposure_s": frame.exposure_s,
        "masked_pixels": int(frame.mask.sum()),
        "saturated_pixels": int(frame.saturated.sum()),
    }
    if frame.scale is not None:
        facts["pixel_scale_km"] = frame.scale.pixel_scale_km
        facts["scale_source"] = frame.scale.source
        facts["scale_conflicts"] = list(frame.scale.conflicts)
    geometry = frame.geometry
    if geometry is not None:
        facts["geometry"] = geometry.source
        facts["altitude_km"] = round(geometry.altitude_km, 3)
        facts["phase_deg"] = round(geometry.phase_deg, 3)
        if geometry.longitude_known:
            for name, place in (
                ("sub_spacecraft", geometry.sub_spacecraft_deg),
                ("sub_solar", geometry.sub_solar_deg),
            ):
                facts[f"{name}_latitude_deg"], facts[f"{name}_longitude_deg"] = (round(v, 3) for v in place)
    facts["notes"] = list(frame.notes)
    return facts
