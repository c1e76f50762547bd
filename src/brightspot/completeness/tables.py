"""What the spots put in say together: recovery with its uncertainty, and biases, bin by bin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from brightspot.catalog import Column
from brightspot.completeness.plan import INCIDENCE_EDGES_DEG

if TYPE_CHECKING:
    import pandas as pd

SPOT_COLUMNS = tuple(
    Column(*row)
    for row in (
        ("frame", "", "as in detections.csv"),
        ("picture", "", "number of the picture it was put into, from 1"),
        ("x", "px", "centre of the disc"),
        ("y", "px", "centre of the disc"),
        ("diameter", "px", "as seen along the ground's normal"),
        ("diameter_km", "km", "the same on the ground"),
        ("planned_diameter", "", "the plan's diameter, in planned_unit"),
        ("planned_unit", "", "px or km"),
        ("seen_diameter", "px", "circle of the area that the disc has in the picture"),
        ("contrast", "", "albedo over that of the ground around"),
        ("incidence_deg", "deg", "Sun's angle to the spheroid's normal"),
        ("emission_deg", "deg", "camera's angle to the spheroid's normal"),
        ("phase_deg", "deg", "angle between Sun and camera"),
        ("pixel_scale_km", "km", "width of a pixel there, across the line of sight"),
        ("shadowed_fraction", "", "share of the disc in shadow"),
        ("found", "", "whether the finder reported it"),
        ("position_error", "px", "from the disc's centre to the detection's centroid"),
        ("position_error_km", "km", "the same times pixel_scale_km"),
        ("found_diameter_halfmax", "px", "the detection's diameter_halfmax"),
        ("found_diameter_halfmax_km", "km", "the detection's diameter_halfmax_km"),
        ("found_diameter_deconvolved_km", "km", "the detection's diameter_deconvolved_km"),
        ("found_contrast", "", "the detection's contrast"),
        ("found_contrast_peak", "", "the detection's contrast_peak"),
        ("size_bias", "", "found_diameter_halfmax over seen_diameter, minus 1"),
        ("deconvolved_bias", "", "found_diameter_deconvolved_km over diameter_km, minus 1"),
        ("contrast_bias", "", "found_contrast over contrast, minus 1"),
        ("excess_bias", "", "(found_contrast - 1) over (contrast - 1), minus 1"),
        ("albedo_confidence", "", "the detection's albedo_confidence"),
        ("flags", "", "the detection's flags"),
    )
)
"""Columns of completeness.csv; what only a detection has is empty where there was none."""

FRAME_COLUMNS = tuple(
    Column(*row)
    for row in (
        ("frame", "", "as in detections.csv"),
        ("status", "", "ok, skipped or failed"),
        ("reason", "", "why not ok"),
        ("n_spots", "", "spots put in"),
        ("n_found", "", "of these, found"),
        ("n_pictures", "", "pictures they were put into"),
        ("n_extra", "", "detections at the spots beside the one each gives: pieces, rims"),
        ("n_detections", "", "detections in the frame as it is"),
        ("n_left_when_cleaned", "", "detections after those were painted out"),
        ("searched_px", "px", "pixels that were searched"),
        ("searched_km2", "km2", "ground that was searched"),
        ("noise_dark", "", "noise of a pixel without light, frame's unit"),
        ("noise_lit", "", "noise over light at the frame's median level"),
        ("ceiling", "", "value at which the frame clips, frame's unit"),
    )
)
"""Columns of frames.csv."""

BIASES = ("position_error", "size_bias", "deconvolved_bias", "contrast_bias", "excess_bias")
"""Columns whose median and central 68 per cent go into recovery.csv."""

RECOVERY_COLUMNS = (
    "contrast", "planned_diameter", "planned_unit", "incidence_low_deg", "incidence_high_deg",
    "n_spots", "n_found", "recovery", "recovery_low", "recovery_high", "diameter_km", "diameter",
    *(f"{name}{end}" for name in BIASES for end in ("", "_p16", "_p84")),
)  # fmt: skip
"""Columns of recovery.csv: an empty diameter or incidence means that the row is over all of them.

recovery_low, recovery_high: 95 per cent interval (Wilson). diameter_km and diameter (px): medians of the
spots put in. Biases: median and 16th and 84th percentile of the spots found; contrast and excess without
saturated ones, which are lower limits.
"""


def spots_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """completeness.csv as a DataFrame."""
    import pandas as pd

    table = pd.DataFrame(rows, columns=[column.name for column in SPOT_COLUMNS])
    return table.astype({"found": bool})


def frames_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """frames.csv as a DataFrame."""
    import pandas as pd

    return pd.DataFrame(rows, columns=[column.name for column in FRAME_COLUMNS])


def wilson_interval(n_found: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Interval for a share of successes (Wilson 1927, JASA 22, 209); NaN where nothing was tried.

    Parameters
    ----------
    n_found, n : int
        Successes and trials.
    z : float
        Standard normal quantile; 1.96 for 95 per cent.
    """
    if n == 0:
        return float("nan"), float("nan")
    share = n_found / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(float(middle - half), 0.0), min(float(middle + half), 1.0)


def poisson_interval(n: int) -> tuple[float, float]:
    """95 per cent interval for the mean of a Poisson count (Garwood 1936, Biometrika 28, 437)."""
    from scipy.special import gammaincinv

    return (float(gammaincinv(n, 0.025)) if n else 0.0), float(gammaincinv(n + 1, 0.975))


def recovery_table(spots: pd.DataFrame) -> pd.DataFrame:
    """Recovery and biases by contrast, diameter and incidence, and over all diameters or incidences.

    Parameters
    ----------
    spots : pandas.DataFrame
        As from `spots_table`.

    Returns
    -------
    pandas.DataFrame
        Columns as in `RECOVERY_COLUMNS`.
    """
    import pandas as pd

    bins = incidence_bins(spots)
    rows = []
    for contrast in sorted(set(spots["contrast"])):
        same = spots["contrast"] == contrast
        sizes = [None, *sorted(set(spots.loc[same, "planned_diameter"]))]
        lights = [None, *sorted(b for b in set(bins[same]) if b >= 0)]
        for size in sizes:
            for light in lights:
                here = same if size is None else same & (spots["planned_diameter"] == size)
                here = here if light is None else here & (bins == light)
                if here.any():
                    rows.append(_group(spots[here], contrast, size, light))
    return pd.DataFrame(rows, columns=list(RECOVERY_COLUMNS))


def incidence_bins(spots: pd.DataFrame) -> pd.Series:
    """Bin of `INCIDENCE_EDGES_DEG` of each spot, -1 where the incidence is not known."""
    import pandas as pd

    known = spots["incidence_deg"].notna()
    bins = np.digitize(spots["incidence_deg"].fillna(0.0), INCIDENCE_EDGES_DEG[1:-1])
    return pd.Series(np.where(known, bins, -1), index=spots.index)


def _group(part: pd.DataFrame, contrast: float, size: float | None, light: int | None) -> dict[str, Any]:
    n, n_found = len(part), int(part["found"].sum())
    low, high = wilson_interval(n_found, n)
    row: dict[str, Any] = {
        "contrast": contrast,
        "planned_diameter": np.nan if size is None else size,
        "planned_unit": part["planned_unit"].iloc[0],
        "incidence_low_deg": np.nan if light is None else INCIDENCE_EDGES_DEG[light],
        "incidence_high_deg": np.nan if light is None else INCIDENCE_EDGES_DEG[light + 1],
        "n_spots": n,
        "n_found": n_found,
        "recovery": n_found / n,
        "recovery_low": low,
        "recovery_high": high,
        "diameter_km": part["diameter_km"].median(),
        "diameter": part["diameter"].median(),
    }
    found = part[part["found"]]
    clipped = found["flags"].fillna("").astype(str).str.contains("SATURATED")
    for name in BIASES:
        values = found.loc[~clipped, name] if name in ("contrast_bias", "excess_bias") else found[name]
        values = values.dropna()
        for end, share in (("", 50.0), ("_p16", 16.0), ("_p84", 84.0)):
            row[name + end] = float(np.percentile(values, share)) if len(values) else np.nan
    return row


def smallest_diameter(recovery: pd.DataFrame, contrast: float, share: float) -> float:
    """Planned diameter from which on the recovery stays above a share, between two sizes by straight line.

    NaN if the widest spots are not recovered that often; the smallest diameter tried if all are.
    """
    whole = recovery["incidence_low_deg"].isna() & recovery["planned_diameter"].notna()
    part = recovery[whole & (recovery["contrast"] == contrast)].sort_values("planned_diameter")
    size, seen = part["planned_diameter"].to_numpy(float), part["recovery"].to_numpy(float)
    below = np.flatnonzero(seen < share)
    if len(seen) == 0 or (len(below) and below[-1] == len(seen) - 1):
        return float("nan")
    if len(below) == 0:
        return float(size[0])
    k = below[-1]
    return float(size[k] + (share - seen[k]) / (seen[k + 1] - seen[k]) * (size[k + 1] - size[k]))
