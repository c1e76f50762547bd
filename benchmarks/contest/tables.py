"""From counts per frame to what is shown: summaries, calibration, ratios of speed, the README's part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import scoring

from contest import timing, trees, tuning
from contest.finders import PEERS
from contest.frames import ALTITUDES_KM
from contest.running import BRIGHTSPOT, OURS

GROUPS = ("nominal", "shifted", "shifted JPEG", "smooth", "pairs")
LEAST_IN_BIN = 50


def figures(part: pd.DataFrame) -> dict[str, float]:
    """Precision, recall and F1 of frames, pooled, and how many spots were asked for."""
    scores = [scoring.Score(*row) for row in part[["found", "missed", "false"]].to_numpy()]
    precision, recall, f1 = scoring.precision_recall_f1(scores)
    return {
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "spots": int(part[["found", "missed"]].sum().sum()),
    }


def summary(counts: pd.DataFrame) -> pd.DataFrame:
    """One row per finder, input, group and altitude (0: all)."""
    rows = []
    counts = counts.assign(everything=0.0)
    for by in ("everything", "altitude_km"):
        for (finder, which, group, altitude), part in counts.groupby(["finder", "input", "group", by]):
            rows.append(
                {"finder": finder, "input": which, "group": group, "altitude_km": altitude, **figures(part)}
            )
    return pd.DataFrame(rows)


def order(table: pd.DataFrame) -> list[str]:
    """Finders from the best on the nominal frames down."""
    here = table[(table["group"] == "nominal") & (table["altitude_km"] == 0)]
    return here.sort_values("f1", ascending=False)["finder"].tolist()


def calibration(confidences: pd.DataFrame) -> pd.DataFrame:
    """Confidence said and share right in tenths, by group ("all" for those of every group)."""
    known = confidences[confidences["right"].notna()]
    rows = []
    for group, part in [("all", known), *known.groupby("group")]:
        tenth = np.minimum((part["confidence"] * 10).astype(int), 9)
        for low, bin_ in part.groupby(tenth):
            rows.append(
                {
                    "group": group, "from": low / 10, "n": len(bin_), "said": bin_["confidence"].mean(),
                    "true": bin_["right"].mean(),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def hard_spots(fates: pd.DataFrame) -> pd.DataFrame:
    """Recall of saturated and of merged spots, nominal frames and pairs; ``with_partner``: both found."""
    fates = fates[fates["group"].isin(["nominal", "pairs"])]
    rows = []
    for finder, part in fates.groupby("finder"):
        saturated, paired = part[part["saturated"]], part[part["partner"] > 0]
        found = part.set_index(["group", "seed", "spot_id"])["found"]
        partners = found.reindex(pd.MultiIndex.from_frame(paired[["group", "seed", "partner"]]))
        both = paired["found"].to_numpy() & partners.fillna(value=False).to_numpy(bool)
        rows.append(
            {
                "finder": finder, "saturated": len(saturated), "saturated_recall": saturated["found"].mean(),
                "merged": len(paired), "merged_recall": paired["found"].mean(), "with_partner": both.mean(),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def milliseconds(times: pd.DataFrame) -> pd.Series:
    """Median over the frames of the processor time, by finder."""
    return times.groupby("finder")["processor_ms"].median()


def ratios(ms: pd.Series) -> dict[str, float]:
    """How many times as fast brightspot is; NaN against what was not timed."""
    ms = ms.reindex([timing.DETECTION, timing.WHOLE, timing.SEP_DEFAULTS, "sep", "skimage blob_log"])
    ours, whole = ms[timing.DETECTION], ms[timing.WHOLE]
    return {
        "detection: times as fast as sep, tuned": ms["sep"] / ours,
        "detection: times as fast as sep at its defaults": ms[timing.SEP_DEFAULTS] / ours,
        "detection: times as fast as blob_log, tuned": ms["skimage blob_log"] / ours,
        "file to catalog: part of what sep, tuned, takes alone": whole / ms["sep"],
        "file to catalog: part of what sep at its defaults takes alone": whole / ms[timing.SEP_DEFAULTS],
    }


def readme_part(
    table: pd.DataFrame,
    ms: pd.Series | None,
    calibrated: pd.DataFrame,
    fates: pd.DataFrame,
    dark: pd.DataFrame,
) -> str:
    """The README's part of the benchmark as markdown.

    ``fates`` is what became of each spot by finder, ``dark`` the counts of dark spots per frame.
    """
    best = table.set_index(["finder", "group", "altitude_km"])
    lines = [
        "| finder | input | precision | recall | F1 | shifted | shifted JPEG | smooth | ms a frame |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for finder in order(table):
        row = best.loc[finder, "nominal", 0.0]
        others = [f"{best.loc[finder, g, 0.0]['f1']:.2f}" for g in GROUPS[1:4]]
        spent = "" if ms is None or finder not in ms else _short(ms[finder])
        cells = [
            finder,
            row["input"],
            *(f"{row[c]:.2f}" for c in ("precision", "recall", "f1")),
            *others,
            spent,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines += [
        "", "F1 by altitude:", "",
        "| finder | " + " | ".join(f"{a:,.0f} km" for a in ALTITUDES_KM) + " |",
        "|---" * (1 + len(ALTITUDES_KM)) + "|",
    ]  # fmt: skip
    for finder in order(table):
        cells = [f"{best.loc[finder, 'nominal', a]['f1']:.2f}" for a in ALTITUDES_KM]
        lines.append(f"| {finder} | " + " | ".join(cells) + " |")
    lines += ["", *_by_kind(scoring.recalls(fates), order(table))]
    lines += ["", _said(calibrated), "", _hard(hard_spots(fates)), "", _dark(dark)]
    if ms is not None:
        lines += ["", _fast(ms)]
    return "\n".join(lines) + "\n"


def _short(ms: float) -> str:
    return f"{ms:.1f}" if ms < 10 else f"{ms:,.0f}"


def _by_kind(recall: pd.DataFrame, finders: list[str]) -> list[str]:
    """What brightspot and the best peer find of which kind of spots, as a table."""
    peer = next(name for name in finders if name not in OURS)
    names = {"contrast": "contrast", "diameter_px": "diameter (px)", "incidence_deg": "incidence (degrees)"}
    lines = [f"| spots asked for | how many | brightspot finds | {peer} |", "|---|---|---|---|"]
    part = recall.set_index("finder")
    for ours, theirs in zip(part.loc[BRIGHTSPOT].itertuples(), part.loc[peer].itertuples(), strict=True):
        low, high = ours[2:4]
        place = f"{low:g} and more" if np.isinf(high) else f"{low:g} to {high:g}"
        lines.append(
            f"| {names[ours.what]} {place} | {ours.spots} | {ours.recall:.2f} | {theirs.recall:.2f} |"
        )
    return lines


def _said(calibrated: pd.DataFrame) -> str:
    bins = calibrated[(calibrated["group"] == "nominal") & (calibrated["n"] >= LEAST_IN_BIN)]
    told = "; ".join(f"{b.said:.2f}, {b.true:.2f}" for b in bins.itertuples())
    return (
        f"`albedo_confidence` said and share that is true, all candidates of the nominal frames, tenths with "
        f"at least {LEAST_IN_BIN}: {told}."
    )


def _hard(hard: pd.DataFrame) -> str:
    ours = hard.set_index("finder").loc[BRIGHTSPOT]
    peers = hard[~hard["finder"].isin(OURS)]
    told = [
        f"Of {ours[n]:.0f} {what} spots brightspot finds {ours[c]:.2f}, the best peer {peers[c].max():.2f}"
        for what, n, c in (
            ("saturated", "saturated", "saturated_recall"),
            ("merged (edges within 2 px of another's)", "merged", "merged_recall"),
        )
    ]
    return ". ".join(told) + "."


def _dark(dark: pd.DataFrame) -> str:
    groups = dark.groupby("group")[["found", "missed", "false"]].sum()
    told = [
        f"{group} {row.found} of {row.found + row.missed} with {row.false} false"
        for group, row in groups.loc[["nominal", "pairs", "smooth", "shifted", "shifted JPEG"]].iterrows()
    ]
    return f"Dark spots (the same limits, a contrast below 1/1.3): {', '.join(told)}."


def _fast(ms: pd.Series) -> str:
    r = list(ratios(ms).values())
    return (
        f"Detection takes {_short(ms[timing.DETECTION])} ms, file to catalog {_short(ms[timing.WHOLE])}: "
        f"{r[0]:.1f} times as fast as tuned sep, {r[1]:.1f} times as sep at its defaults "
        f"({_short(ms[timing.SEP_DEFAULTS])} ms), {r[2]:.0f} times as blob_log; file to catalog takes "
        f"{r[3]:.1f} times what tuned sep alone takes, {r[4]:.1f} times sep at its defaults. All with freed "
        "memory kept by the process: where the C library gives it back, as it often does, sep is three to "
        "four times slower."
    )


def searches() -> pd.DataFrame:
    """What the search of settings came to, by peer and input."""
    columns = ("tuning_f1", "trials", "given_up", "processor_s")
    return pd.DataFrame(
        [
            {"finder": name, "input": which, **{c: found[c] for c in columns}}
            for name, both in tuning.stored_settings().items()
            for which, found in both.items()
        ]
    )


def tuned_names() -> list[str]:
    """Finders that have settings."""
    stored = tuning.stored_settings()
    return [*OURS, *(name for name in [*PEERS, trees.NAME] if name in stored)]


def replace_rows(path: Path, new: pd.DataFrame) -> pd.DataFrame:
    """The table at ``path`` with the rows of the finders in ``new`` replaced, written back."""
    if path.exists():
        old = pd.read_csv(path, keep_default_na=False, na_values=[""])
        new = pd.concat([old[~old["finder"].isin(new["finder"].unique())], new], ignore_index=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    new.to_csv(path, index=False)
    return new
