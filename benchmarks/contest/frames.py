"""The fixed frames of the benchmark: what is drawn, rendered once into a folder, read back as files.

Seeds: 100001 to 100020 tune the peers, 100021 to 100060 are further frames for the trees that judge sep's
catalog; from 200000 on is what everything is compared on. The judge of brightspot is fitted to seeds below
100000.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from brightspot import simulate
from brightspot.simulate import Scene, random_scene, viewing_geometry

ALTITUDES_KM = (33_000.0, 22_000.0, 13_600.0, 4_400.0, 1_470.0)
PHASES_DEG = (10.0, 40.0, 70.0, 100.0)
CLOSE_KM = 8_000.0
INCIDENCE_IN_THE_MIDDLE_DEG = 60.0
SETS = ("tuning", "fit", "nominal", "shifted", "smooth", "pairs")

SHIFTED_JPEG_QUALITY = 75
FIT_JPEG_QUALITY = 88


@dataclass(frozen=True)
class Entry:
    """One frame of a set: its scene, and the files that it is read from."""

    set: str
    scene: Scene
    formats: tuple[str, ...] = ("img",)
    quality: int = FIT_JPEG_QUALITY


@dataclass(frozen=True)
class Case:
    """One file of a set with what is true about it.

    ``group`` is the set's name, with ``" JPEG"`` for the same frames as 8-bit pictures without a label;
    ``dark`` is what is true about dark spots, with the surroundings' brightness over theirs for ``contrast``.
    """

    group: str
    path: Path
    seed: int
    altitude_km: float
    phase_deg: float
    truth: pd.DataFrame
    dark: pd.DataFrame


def entries(name: str) -> list[Entry]:
    """What a set consists of."""
    if name == "tuning":
        return [Entry(name, scene) for scene in _grid(100_001, 1)]
    if name == "fit":
        return [_for_trees(100_021 + k) for k in range(40)]
    if name == "nominal":
        return [Entry(name, scene) for scene in _grid(200_000, 3)]
    if name == "shifted":
        scenes = [shifted(scene) for scene in _grid(210_000, 1)]
        return [Entry(name, scene, ("img", "jpg"), SHIFTED_JPEG_QUALITY) for scene in scenes]
    if name == "smooth":
        return [Entry(name, replace(scene, roughness=0.0)) for scene in _grid(230_000, 1)]
    if name == "pairs":
        return [Entry(name, _pairs(220_000 + k)) for k in range(10)]
    raise SystemExit(f"no set {name!r}: take one of {', '.join(SETS)}")


def _grid(first_seed: int, repeats: int) -> Iterator[Scene]:
    """Every scale at every phase, ``repeats`` seeds each; the first five are one of each scale."""
    seed = first_seed
    for repeat in range(repeats):
        for step in range(len(PHASES_DEG)):
            for k, altitude_km in enumerate(ALTITUDES_KM):
                phase = PHASES_DEG[(step + k + repeat) % len(PHASES_DEG)]
                scene = random_scene(seed, altitude_km, phase_deg=phase)
                yield aimed(scene) if altitude_km < CLOSE_KM else scene
                seed += 1


def aimed(scene: Scene) -> Scene:
    """The camera turned toward the Sun's side until what it looks at is lit.

    From close by, the ground under the camera lies in the dark at large phases.
    """
    geometry = viewing_geometry(scene)
    middle = 0.5 * (scene.shape[1] - 1), 0.5 * (scene.shape[0] - 1)
    if float(geometry.ground(*middle).incidence_deg) <= INCIDENCE_IN_THE_MIDDLE_DEG:
        return scene
    right, down, _ = geometry.camera_from_body @ geometry.sun_km
    away = np.array([right, down]) / np.hypot(right, down)
    for shift in range(100, 3600, 100):
        turned = replace(scene, center_xy=(middle[0] - shift * away[0], middle[1] - shift * away[1]))
        place = viewing_geometry(turned).ground(*middle)
        if not np.isfinite(place.emission_deg) or place.emission_deg > 60.0:
            break
        scene = turned
        if place.incidence_deg <= INCIDENCE_IN_THE_MIDDLE_DEG:
            break
    return scene


def shifted(scene: Scene) -> Scene:
    """The scene on ground and through optics beyond what any fit or tuning is given.

    Rougher, with twice the craters, almost Lambertian (fits see at most 0.8 of Lambert), PSF 2.5 px wide
    (fits see at most 2.4).
    """
    rng = np.random.default_rng([scene.seed, 97])
    return replace(
        scene,
        roughness=float(rng.uniform(2.0, 2.6)),
        crater_density=2.0 * scene.crater_density,
        disk_function="lambert",
        disk_weight=0.9,
        psf_fwhm_px=2.5,
    )


def _for_trees(seed: int) -> Entry:
    """As the fit of the judge draws them: some from shifted ranges, a third as pictures."""
    rng = np.random.default_rng([seed, 31])
    scene = random_scene(seed, ALTITUDES_KM[seed % 5] * float(rng.uniform(0.85, 1.15)), shifted=seed % 4 == 3)
    if scene.altitude_km < CLOSE_KM:
        scene = aimed(scene)
    return Entry("fit", scene, ("jpg",) if seed % 3 == 0 else ("img",))


def _pairs(seed: int) -> Scene:
    """Many bright spots, most with a close neighbour, exposed so that the brightest saturate."""
    rng = np.random.default_rng([seed, 41])
    return random_scene(
        seed,
        ALTITUDES_KM[seed % 5],
        phase_deg=float(rng.uniform(15.0, 60.0)),
        random_spots=24,
        pair_fraction=1.0,
        random_spot_diameter_px=(2.5, 14.0),
        random_spot_contrast=(1.5, 8.0),
        exposure_level=0.3,
    )


def render_set(name: str, cache: Path) -> None:
    """Render what the cache does not hold yet."""
    folder = cache / name
    for entry in entries(name):
        stem = f"s{entry.scene.seed}"
        missing = [f for f in entry.formats if not (folder / _file(stem, f)).exists()]
        if not missing:
            continue
        rendered = simulate.render(entry.scene)
        for kind in missing:
            simulate.write(rendered, folder, kind, name=stem, quality=entry.quality)
        print(f"rendered {name} {entry.scene.seed}: {len(rendered.truth)} spots", flush=True)


def _file(stem: str, kind: str) -> str:
    return f"{stem}.IMG" if kind == "img" else f"{stem}.{kind}"


def cases(name: str, cache: Path) -> list[Case]:
    """The files of a set with what is true about bright and about dark spots."""
    render_set(name, cache)
    truth = pd.read_csv(cache / name / "truth.csv")
    mirrored = truth[truth["contrast"] < 1.0].assign(contrast=lambda rows: 1.0 / rows["contrast"])
    out = []
    for entry in entries(name):
        for kind in entry.formats:
            file = _file(f"s{entry.scene.seed}", kind)
            group = f"{name} JPEG" if kind == "jpg" and name != "fit" else name
            own = [
                t[t["frame"] == file].reset_index(drop=True)
                for t in (truth[truth["contrast"] > 1.0], mirrored)
            ]
            scene = entry.scene
            out.append(Case(group, cache / name / file, scene.seed, scene.altitude_km, scene.phase_deg, *own))
    return out
