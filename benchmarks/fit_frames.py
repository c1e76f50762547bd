"""The rendered frames that the judge is fitted to: what is drawn for each seed.

Frames are drawn by ``simulate.random_scene`` at any altitude and as oblique close-ups, one in four from its
shifted ranges, a third seen as a stretched 8-bit JPEG, half as pictures without a label. Some have many dark
spots, some many spots of any size, some show ground kinder than Ceres'. Any few thousand seeds in a row are
the same mixture. Seeds below 100000 belong to the fit; benchmarks use others.
"""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pandas as pd

from brightspot import ceres, simulate
from brightspot.camera import Camera
from brightspot.frame import Frame, locate

ANY_KM = (1_000.0, 46_000.0)
CLOSE_UP_KM = (350.0, 4_000.0)
CLOSE_UPS = 7
"""One in so many frames is an oblique close-up."""

SHIFTED = 4
"""One in so many is drawn from the shifted ranges."""

PAIRED = 11
"""In one of so many every spot has a close neighbour."""

FRESH = 3
"""One in so many shows many fresh craters with bright ejecta on quiet ground, as `on_fresh_ground` has it."""

WIDE, DEPOSITS, DEPOSIT_PX = 17, 3, (30.0, 300.0)
"""One in so many has up to so many deposits this wide, with small spots on them and beside them: other frames
keep spots apart, and who has seen only those takes a small one near a wide one for a piece of it."""

SMALL_PX, BESIDE_PX = (3.0, 30.0), (1.0, 40.0)
"""Range of diameters of the small ones, and of the ground between their edge and the deposit's."""

WIDEST_SHARE = 0.3
"""Greatest width of a deposit, in diameters of the disk."""

HILLS, BRIGHTEST = 19, 25.0
"""One in so many shows hills and rimless pits on quiet ground, as `on_hills` has it; half of these have spots
up to so bright: no spot on Ceres is, but what is brighter must not be believed less."""

HELD_BACK = 13
"""One in so many serves the calibration and the fit's record only."""

SMOOTH, SIZES, OF = 5, 1, 25
"""Of ``OF`` frames so many show kinder ground than is believed of Ceres, down to craters on a plain (a judge
that has seen only rough ground is not sure of a spot on a smooth one), and so many have spots of any size."""

MANY_SIZES, SIZES_PX = 60, (3.0, 200.0)
"""Number and range of those spots: torn deposits among them tell two places from two pieces. Such frames are
more mottled, noisier or more saturated, and struck by more cosmic rays than others."""

DARK = 2, 9
"""Of the second number of frames of neither kind the first has `MANY_DARK` dark spots; others `FEW_DARK` in
the mean."""

MANY_DARK, FEW_DARK = 20, 2

FEWEST_EJECTA, MOST_EJECTA = 0.001, 0.3
"""Part of the fresh craters with bright ejecta, log-uniform in half of the frames. How common they are on
Ceres at a given size nobody has told; a judge that has seen them everywhere trusts no small spot."""

BRIGHTEST_EJECTA = (1.25, 1.5)
"""Contrast of the brightest ejecta in one of three frames, beyond what is believed of Ceres: a judge that has
seen such ground is careful on ground that it has not seen."""

BOWLS, RIMS, FLOORS, RELIEF_SLOPES = (1.2, 5.0), (0.05, 0.35), (0.4, 0.8), (0.5, 1.0)
"""Ranges of `simulate.CraterForm` (the first log-uniform) and of relief's exponent in half of the frames:
no other ground, the real one included, has our profiles."""

FARTHER_KM = 20_000.0
"""Pictures from farther away may be enlarged: there the whole disk fits half of the frame."""

LOWEST_SUN_DEG = 78.0
"""Greatest incidence in the middle of an oblique close-up."""

CAMERA = Camera.framing_camera("FC2", 1)


def as_jpeg(frame: Frame, rng: np.random.Generator) -> Frame:
    """The frame as a stretched 8-bit JPEG: clipped blacks, bent scale, sharpened, each in a part of them."""
    from PIL import Image
    from scipy.ndimage import gaussian_filter

    image = frame.image
    if rng.random() < 0.3:
        image = image + rng.uniform(0.2, 1.0) * (image - gaussian_filter(image, rng.uniform(0.8, 2.0)))
    top = np.percentile(image, rng.uniform(98.0, 99.9)) * rng.uniform(1.0, 2.5)
    black = 0.0
    if rng.random() < 0.6:
        # The sky's value and a little more, or a part of the ground where no sky is in view.
        black = max(rng.uniform(0.0, 0.1) * top, float(np.percentile(image, rng.uniform(0.0, 5.0))))
    bend = rng.uniform(0.75, 1.3) if rng.random() < 0.5 else 1.0
    shown = 255.0 * np.clip((image - black) / (top - black), 0.0, 1.0) ** bend
    buffer = io.BytesIO()
    Image.fromarray(np.round(shown).astype(np.uint8)).save(buffer, "JPEG", quality=int(rng.integers(80, 97)))
    image = np.asarray(Image.open(buffer), np.float32)
    return replace(
        frame, image=image, saturated=image >= 255, unit="display", mask=np.zeros(image.shape, bool)
    )


def oblique(scene: simulate.Scene, rng: np.random.Generator) -> simulate.Scene:
    """The scene with the camera turned away from straight down, toward ground that is lit."""
    middle = 0.5 * (scene.shape[1] - 1), 0.5 * (scene.shape[0] - 1)
    to_limb = np.arcsin(ceres.MEAN_RADIUS_KM / (ceres.MEAN_RADIUS_KM + scene.altitude_km))
    for _ in range(40):
        pixels = np.tan(rng.uniform(0.3, 0.98) * to_limb) / CAMERA.mean_ifov_rad
        side = rng.uniform(0.0, 2.0 * np.pi)
        center = middle[0] + pixels * np.cos(side), middle[1] + pixels * np.sin(side)
        turned = replace(scene, center_xy=center)
        if float(simulate.viewing_geometry(turned).ground(*middle).incidence_deg) < LOWEST_SUN_DEG:
            return turned
    return scene


def fitting_scene(seed: int, rng: np.random.Generator) -> simulate.Scene:
    """The scene of a frame of the fit."""
    close_up = seed % CLOSE_UPS == 0
    altitude = float(np.exp(rng.uniform(*np.log(CLOSE_UP_KM if close_up else ANY_KM))))
    scene = simulate.random_scene(seed, altitude, shifted=seed % SHIFTED == 0)
    if rng.random() < 0.5:
        # Wider than is believed of Ceres: a judge that has seen only one kind of ground trusts it.
        scene = replace(
            scene,
            roughness=float(rng.uniform(0.5, 3.5)),
            crater_density=float(rng.uniform(0.6, 2.5)),
            relief_strength=float(rng.uniform(0.7, 1.6)),
            psf_fwhm_px=float(rng.uniform(1.1, 2.4)),
        )
    if is_smooth(seed):
        scene = on_smooth_ground(scene, rng)
    scene = with_ejecta(with_other_forms(scene, rng), rng)
    if is_fresh(seed):
        scene = on_fresh_ground(scene, rng)
    if altitude < 8_000.0 and rng.random() < 0.4:
        scene = replace(scene, random_spot_diameter_px=(8.0, 250.0), random_spots=6)
    if seed % PAIRED == 0:
        scene = replace(scene, random_spots=24, pair_fraction=1.0)
    if has_many_dark(seed):
        scene = replace(scene, dark_spots=MANY_DARK)
    if has_many_sizes(seed):
        scene = replace(
            scene,
            random_spots=MANY_SIZES,
            random_spot_diameter_px=SIZES_PX,
            mottling=float(rng.uniform(0.0, 0.15)),
            cosmic_rays=float(rng.uniform(5.0, 200.0)),
            exposure_level=float(np.exp(rng.uniform(*np.log([0.005, 0.6])))),
        )
    scene = oblique(scene, rng) if close_up else scene
    if has_hills(seed):
        scene = on_hills(scene, rng)
    return with_deposits(scene, rng) if has_deposits(seed) else scene


def with_deposits(scene: simulate.Scene, rng: np.random.Generator) -> simulate.Scene:
    """The scene with wide deposits, small spots on and beside them, and fewer other spots."""
    geometry = simulate.viewing_geometry(scene)
    rows, columns = scene.shape
    disk_px = 2.0 * ceres.MEAN_RADIUS_KM / (scene.altitude_km * CAMERA.mean_ifov_rad)

    def size(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(max(low, high)))))

    def spot(x: float, y: float, diameter_px: float, contrast: float) -> list[simulate.Spot]:
        place = geometry.ground(x, y)
        if not (place.incidence_deg < scene.max_spot_incidence_deg and place.emission_deg < 65.0):
            return []
        km = diameter_px * float(place.slant_range_km) * CAMERA.mean_ifov_rad
        latitude, longitude = float(place.latitude_deg), float(place.longitude_deg)
        ragged = float(rng.uniform(0.2, 1.0)) if rng.random() < scene.ragged_fraction else 0.0
        edge, kind = float(rng.uniform(0.05, 0.35)), "random" if contrast > 1.0 else "dark"
        return [simulate.Spot("", latitude, longitude, km, contrast, 0.0, 1.0, edge, ragged, kind)]

    spots: list[simulate.Spot] = []
    for _ in range(int(rng.integers(1, DEPOSITS + 1))):
        wide = size(DEPOSIT_PX[0], min(DEPOSIT_PX[1], WIDEST_SHARE * disk_px))
        for _ in range(50):
            x, y = rng.uniform(0.0, columns - 1.0), rng.uniform(0.0, rows - 1.0)
            if deposit := spot(x, y, wide, size(1.3, 5.0)):
                break
        spots += deposit
        for k in range(int(rng.integers(3, 11)) if deposit else 0):
            small = size(SMALL_PX[0], min(SMALL_PX[1], wide / 2.5))
            away = 0.5 * (wide + small) + size(*BESIDE_PX) if k % 2 else rng.uniform(0.0, 0.42) * wide
            side = rng.uniform(0.0, 2.0 * np.pi)
            contrast = size(0.35, 0.75) if rng.random() < 0.15 else size(1.3, 4.0)
            spots += spot(x + away * np.cos(side), y + away * np.sin(side), small, contrast)
    return replace(scene, spots=(*scene.spots, *spots), random_spots=scene.random_spots // 3)


def on_smooth_ground(scene: simulate.Scene, rng: np.random.Generator) -> simulate.Scene:
    """The scene with little or no relief between craters, and craters, walls and mottling of any strength."""
    return replace(
        scene,
        roughness=float(max(rng.uniform(-0.3, 0.8), 0.0)),
        relief_strength=float(rng.uniform(0.5, 1.4)),
        crater_density=float(np.exp(rng.uniform(*np.log([0.2, 2.0])))),
        crater_slope=float(rng.uniform(1.6, 2.8)),
        min_crater_px=float(rng.uniform(1.5, 4.0)),
        fresh_fraction=float(rng.uniform(0.02, 0.4)),
        wall_streaks=float(rng.uniform(0.0, 0.4)),
        mottling=float(rng.uniform(0.0, 0.1)),
    )


def with_other_forms(scene: simulate.Scene, rng: np.random.Generator) -> simulate.Scene:
    """The scene with craters and relief of another form, in half of the cases."""
    if rng.random() < 0.5:
        return scene
    bowl, rim, floor = float(np.exp(rng.uniform(*np.log(BOWLS)))), rng.uniform(*RIMS), rng.uniform(*FLOORS)
    form = simulate.CraterForm(bowl, float(rim), float(floor))
    return replace(scene, crater_form=form, roughness_slope=float(rng.uniform(*RELIEF_SLOPES)))


def with_ejecta(scene: simulate.Scene, rng: np.random.Generator) -> simulate.Scene:
    """The scene with bright ejecta rarer than usual in half of the cases, and brighter in a third."""
    if rng.random() < 0.5:
        rarer = float(np.exp(rng.uniform(*np.log([FEWEST_EJECTA, MOST_EJECTA]))))
        scene = replace(scene, halo_fraction=rarer)
    if rng.random() < 1.0 / 3.0:
        scene = replace(scene, halo_contrast=(scene.halo_contrast[0], float(rng.uniform(*BRIGHTEST_EJECTA))))
    return scene


def on_fresh_ground(scene: simulate.Scene, rng: np.random.Generator) -> simulate.Scene:
    """The scene with steep fresh craters, most with bright ejecta, on ground with little other relief.

    Light falls as on ground anywhere between what is believed of Ceres and Lambert's. A bright rim in bright
    ejecta looks most like a spot there: nothing else near it is as bright, and no slope should make as much.
    """
    return replace(
        scene,
        roughness=float(rng.uniform(0.0, 1.2)),
        relief_strength=float(rng.uniform(0.9, 1.7)),
        crater_density=float(np.exp(rng.uniform(*np.log([0.15, 1.5])))),
        fresh_fraction=float(rng.uniform(0.2, 0.9)),
        halo_fraction=float(rng.uniform(0.1, 1.0)),
        disk_function="lunar_lambert",
        disk_weight=float(rng.uniform(0.5, 1.0)),
    )


def on_hills(scene: simulate.Scene, rng: np.random.Generator) -> simulate.Scene:
    """The scene with hills and pits for some of its craters, and little relief between them.

    A hill has its lit side and its shade, no rim, and nothing else beside it that shows where the Sun is.
    """
    if rng.random() < 0.5:
        scene = replace(scene, random_spot_contrast=(1.3, BRIGHTEST), contrast_slope=0.8)
    return replace(
        scene,
        roughness=float(max(rng.uniform(-0.5, 1.0), 0.0)),
        relief_strength=float(rng.uniform(0.6, 1.6)),
        crater_density=float(np.exp(rng.uniform(*np.log([0.1, 1.0])))),
        min_crater_px=float(rng.uniform(3.0, 8.0)),
        hill_fraction=float(rng.uniform(0.3, 1.0)),
        mottling=float(rng.uniform(0.0, 0.06)),
    )


def is_smooth(seed: int) -> bool:
    """Whether the frame of a seed shows kinder ground than is believed of Ceres."""
    return seed % OF < SMOOTH


def is_fresh(seed: int) -> bool:
    """Whether the frame of a seed shows many fresh craters on quiet ground."""
    return seed % FRESH == FRESH - 1


def has_many_sizes(seed: int) -> bool:
    """Whether the frame of a seed has many spots of any size."""
    return SMOOTH <= seed % OF < SMOOTH + SIZES


def has_many_dark(seed: int) -> bool:
    """Whether the frame of a seed has many dark spots."""
    return not is_smooth(seed) and not has_many_sizes(seed) and seed % DARK[1] < DARK[0]


def has_deposits(seed: int) -> bool:
    """Whether the frame of a seed has wide deposits with small spots on and beside them."""
    return seed % WIDE == 1


def has_hills(seed: int) -> bool:
    """Whether the frame of a seed shows hills and pits on quiet ground."""
    return seed % HILLS == 2


def held_back(seed: np.ndarray) -> np.ndarray:
    """Which frames nothing but the calibration is fitted to, (n,) bool."""
    return seed % HELD_BACK == 0


def fitting_frame(seed: int) -> tuple[Frame, pd.DataFrame]:
    """A frame of the fit and its truth."""
    rng = np.random.default_rng([seed, 31])
    rendered = simulate.render(fitting_scene(seed, rng))
    frame, truth = rendered.frame, rendered.truth
    if rng.random() < 0.35:
        frame = as_jpeg(frame, rng)
    if rng.random() < 0.5:
        far = rendered.scene.altitude_km > FARTHER_KM
        if frame.unit == "display" and far and rng.random() < 0.4:
            frame, truth = twofold(frame, truth)
        # Where no limb can be fitted, a disk has no geometry either: the judge has to have seen that too.
        blind = seed % (2 if has_hills(seed) else 5) == 0
        frame = replace(frame, geometry=None) if blind else unlabelled(frame)
    return frame, truth


def twofold(frame: Frame, truth: pd.DataFrame) -> tuple[Frame, pd.DataFrame]:
    """The middle of a picture enlarged two-fold, as distant disks are published; without geometry."""
    from PIL import Image

    rows, columns = frame.shape
    y, x = rows // 4, columns // 4
    middle = np.s_[y : y + rows // 2, x : x + columns // 2]
    small = Image.fromarray(frame.image[middle].astype(np.uint8))
    image = np.asarray(small.resize((columns, rows), Image.Resampling.BICUBIC), np.float32)
    wide = replace(
        frame, image=image, saturated=image >= 255, mask=np.zeros(image.shape, bool), geometry=None
    )
    truth = truth.assign(
        x=2.0 * (truth["x"] - x) + 0.5, y=2.0 * (truth["y"] - y) + 0.5, diameter_px=2.0 * truth["diameter_px"]
    )
    inside = truth["x"].between(-0.5, columns - 0.5) & truth["y"].between(-0.5, rows - 0.5)
    return wide, truth[inside].reset_index(drop=True)


def unlabelled(frame: Frame) -> Frame:
    """The frame as a picture of which nothing is told: its geometry is the limb's, if it has one."""
    return locate(replace(frame, geometry=None, scale=None, label={}, start_time=None, notes=()))
