"""What to render: every knob of a scene, and scenes drawn at random for fitting and benchmarks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from brightspot.errors import UsageError

DISK_FUNCTIONS = ("akimov", "lunar_lambert", "lambert", "lommel_seeliger")
"""Disk functions a scene can ask for; ``"lambert"`` mixes Lambert into Akimov by ``disk_weight``."""


@dataclass(frozen=True)
class Spot:
    """One albedo outlier fixed on the body.

    Attributes
    ----------
    name : str
        Name in the truth table; may be empty.
    latitude_deg, longitude_deg : float
        Planetocentric centre.
    diameter_km : float
        Diameter of the disc of equal area.
    contrast : float
        Mean albedo over that of the surroundings; below 1 a dark spot.
    core_diameter_km : float
        Diameter of a brighter core; 0 for none.
    core_contrast : float
        The core's contrast to the surroundings.
    edge_width : float
        Width over which the edge fades, in radii.
    raggedness : float
        0: a disc; 1: a torn patch.
    kind : str
        ``"named"``, ``"random"`` or ``"dark"``.
    """

    name: str
    latitude_deg: float
    longitude_deg: float
    diameter_km: float
    contrast: float
    core_diameter_km: float = 0.0
    core_contrast: float = 1.0
    edge_width: float = 0.1
    raggedness: float = 0.0
    kind: str = "named"


@dataclass(frozen=True)
class CraterForm:
    """Radial profiles of random and named craters, lengths in rim radii; chosen by eye.

    Attributes
    ----------
    bowl_exponent : float
        Exponent of height with radius in simple craters: 1 a cone, large a flat floor with steep walls.
    rim_height : float
        Height of a fresh rim over the ground around, as part of the depth from rim to floor.
    floor_radius : float
        Where the wall of complex craters begins.
    """

    bowl_exponent: float = 2.2
    rim_height: float = 0.2
    floor_radius: float = 0.62

    def __post_init__(self) -> None:
        if not (self.bowl_exponent > 0 and 0 <= self.rim_height < 1 and 0 < self.floor_radius < 1):
            raise UsageError(
                f"{self} is no crater: exponent above 0, rim from 0 to below 1, floor between 0 and 1"
            )


@dataclass(frozen=True)
class Scene:
    """Everything that decides a rendered frame; the same scene gives the same bytes.

    Attributes
    ----------
    name : str
        Name of the frame.
    seed : int
        Seeds noise, cosmic rays and the random spots.
    surface_seed : int or None
        Seeds craters, relief and mottling; None: ``seed``. Frames that share it show the same ground.
    date : datetime
        START_TIME (UTC); the exposure opens 0.193 s later.
    camera, filter_number : str, int
        ``"FC1"``/``"FC2"``, 1-8.
    shape, origin_xy : tuple
        Rows and columns of the frame; detector pixel (sample, line from the top) of its pixel (0, 0).
    altitude_km : float
        Height of the camera above the spheroid, along the radius.
    sub_spacecraft_latitude_deg, sub_spacecraft_longitude_deg : float
        Ground point under the camera, planetocentric.
    sub_solar_latitude_deg, sub_solar_longitude_deg : float or None
        Ground point under the Sun. None: from ``phase_deg`` and ``sun_azimuth_deg``.
    phase_deg, sun_azimuth_deg : float
        Sun - body centre - camera angle, and the Sun's direction from the sub-spacecraft point,
        clockwise from north.
    twist_deg : float
        Angle of north in the picture, clockwise from up.
    center_xy : tuple of float or None
        Frame pixel where the body's centre appears; None: the middle of the frame.
    sun_distance_au : float
        Heliocentric distance.
    relief_strength : float
        Factor on all heights.
    relief_spheroid : bool
        False: a smooth spheroid (no craters, no relief), for tests.
    roughness : float
        Factor on the fractal relief between craters.
    roughness_slope : float
        Exponent of that relief's amplitude with wavelength.
    crater_density : float
        Factor on the number of random craters (1: 0.08 D^-2 per km2, cumulative).
    crater_slope : float
        Exponent of the cumulative size distribution.
    min_crater_px, max_crater_km : float
        Range of random craters.
    fresh_fraction : float
        Part of the craters that is fresh; the rest is worn by varying degrees.
    hill_fraction : float
        Part of the random craters in whose place there is a hill, in half of the cases a pit without a rim,
        as high or deep as the crater would be deep.
    crater_form : CraterForm
        Radial profiles of craters.
    central_peaks, named_craters, cast_shadows : bool
        Peaks in complex craters; the gazetteer's craters at their places; shadows cast by relief.
    normal_albedo : float
        Mean normal albedo.
    mottling : float
        Standard deviation of the albedo's smooth variation.
    mottling_slope : float
        Exponent of amplitude with wavelength; 0: equally strong at all scales.
    wall_streaks : float
        Greatest brightening of streaks on fresh crater walls.
    halo_fraction, halo_contrast : float, tuple of float
        Part of the fresh craters with bright ejecta, and their contrast (decoys, not spots).
    named_spots : bool
        The known bright spots at their places.
    spots : tuple of Spot
        More spots.
    random_spots, dark_spots : int
        Spots placed at random in the lit part of the frame.
    random_spot_diameter_px, random_spot_diameter_km : tuple of float or None
        Range of diameters, log-uniform; km outranks px.
    random_spot_contrast, dark_spot_contrast : tuple of float
        Range of contrasts.
    contrast_slope : float
        Density of (contrast - 1) falls with this power.
    pair_fraction, ragged_fraction, crater_floor_fraction : float
        Parts of the random spots with a close neighbour, with ragged outline, on a crater's floor.
    max_spot_incidence_deg : float
        Random spots lie where the spheroid's incidence is below this.
    disk_function, disk_weight : str, float
        One of `DISK_FUNCTIONS`; weight of Lommel-Seeliger (lunar_lambert) or of Lambert (lambert).
    phase_slope_mag_deg : float
        Linear phase function in magnitudes per degree.
    psf_fwhm_px, psf_wings : float
        Full width of the point-spread function, pixel included; part of the light in broad wings.
    smear_px : tuple of float
        Motion during the exposure along x and y.
    distortion : bool
        False: an ideal lens.
    exposure_s : float or None
        Exposure; None: such that the lit ground reaches ``exposure_level``.
    exposure_level : float
        Part of the 14-bit range that the 90th percentile of the lit ground fills.
    noise : bool
        False: none of the detector's noise, defects, cosmic rays.
    electrons_per_dn, read_noise_e, bias_dn, ceiling_dn : float
        Detector. Values recalled for the Framing Cameras, unverified.
    full_well_e : float or None
        Charge above it bleeds along the columns; None: no bleeding.
    hot_pixels, dead_pixels, cosmic_rays : float
        Mean numbers in a full frame.
    defects : bool
        The camera's own bad pixels and dust shadows, the same in every frame.
    stray_light, stray_light_gradient : float
        Pedestal and its change across the frame, as parts of the lit ground's brightness.
    unit : str
        ``"radiance"`` (level 1B), ``"iof"`` (1C) or ``"DN"`` (1A): unit of the frame.
    """

    name: str = "scene"
    seed: int = 1
    surface_seed: int | None = None
    date: datetime = datetime(2015, 5, 4, 12, 0, 0)
    camera: str = "FC2"
    filter_number: int = 1
    shape: tuple[int, int] = (1024, 1024)
    origin_xy: tuple[float, float] = (0.0, 0.0)
    altitude_km: float = 13_600.0
    sub_spacecraft_latitude_deg: float = 10.0
    sub_spacecraft_longitude_deg: float = 230.0
    sub_solar_latitude_deg: float | None = None
    sub_solar_longitude_deg: float | None = None
    phase_deg: float = 40.0
    sun_azimuth_deg: float = 260.0
    twist_deg: float = 0.0
    center_xy: tuple[float, float] | None = None
    sun_distance_au: float = 2.9
    relief_strength: float = 1.0
    relief_spheroid: bool = True
    roughness: float = 1.0
    roughness_slope: float = 0.76
    crater_density: float = 1.0
    crater_slope: float = 2.0
    min_crater_px: float = 2.0
    max_crater_km: float = 60.0
    fresh_fraction: float = 0.15
    hill_fraction: float = 0.0
    crater_form: CraterForm = CraterForm()
    central_peaks: bool = True
    named_craters: bool = True
    cast_shadows: bool = True
    normal_albedo: float = 0.094
    mottling: float = 0.05
    mottling_slope: float = 0.3
    wall_streaks: float = 0.15
    halo_fraction: float = 0.12
    halo_contrast: tuple[float, float] = (1.05, 1.25)
    named_spots: bool = True
    spots: tuple[Spot, ...] = ()
    random_spots: int = 0
    dark_spots: int = 0
    random_spot_diameter_px: tuple[float, float] = (1.5, 25.0)
    random_spot_diameter_km: tuple[float, float] | None = None
    random_spot_contrast: tuple[float, float] = (1.3, 6.0)
    dark_spot_contrast: tuple[float, float] = (0.5, 0.8)
    contrast_slope: float = 1.3
    pair_fraction: float = 0.2
    ragged_fraction: float = 0.5
    crater_floor_fraction: float = 0.3
    max_spot_incidence_deg: float = 85.0
    disk_function: str = "akimov"
    disk_weight: float = 0.945
    phase_slope_mag_deg: float = 0.036
    psf_fwhm_px: float = 1.4
    psf_wings: float = 0.02
    smear_px: tuple[float, float] = (0.0, 0.0)
    distortion: bool = True
    exposure_s: float | None = None
    exposure_level: float = 0.15
    noise: bool = True
    electrons_per_dn: float = 17.7
    read_noise_e: float = 18.0
    bias_dn: float = 270.0
    ceiling_dn: float = 16_383.0
    full_well_e: float | None = None
    hot_pixels: float = 12.0
    dead_pixels: float = 3.0
    cosmic_rays: float = 15.0
    defects: bool = True
    stray_light: float = 0.002
    stray_light_gradient: float = 0.002
    unit: str = "radiance"

    def __post_init__(self) -> None:
        if self.unit not in ("radiance", "iof", "DN"):
            raise UsageError(f"unit {self.unit!r} is unknown: use 'radiance', 'iof' or 'DN'")
        if self.disk_function not in DISK_FUNCTIONS:
            raise UsageError(f"disk function {self.disk_function!r} is unknown: use one of {DISK_FUNCTIONS}")
        if min(self.shape) < 1:
            raise UsageError(f"a frame of {self.shape} pixels is empty: rows and columns start at 1")
        if self.altitude_km <= 0:
            raise UsageError(f"an altitude of {self.altitude_km} km is below the ground")
        if (self.sub_solar_latitude_deg is None) != (self.sub_solar_longitude_deg is None):
            raise UsageError("give both sub-solar latitude and longitude, or neither")


def random_scene(seed: int, altitude_km: float, *, shifted: bool = False, **changes: object) -> Scene:
    """A scene drawn at random, for fitting and benchmarks: light, ground, spots and camera all vary.

    Parameters
    ----------
    seed : int
        Decides everything.
    altitude_km : float
        Height above the spheroid.
    shifted : bool
        Draw from ranges beyond what is believed of Ceres: rougher, twice the craters, other disk
        functions, wider PSF.
    **changes
        Fields of `Scene` to fix.
    """
    rng = np.random.default_rng([seed, 7919])

    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    latitude = float(np.degrees(np.arcsin(rng.uniform(-0.95, 0.95))))
    pixel_km = altitude_km * 93.2e-6
    scene = Scene(
        name=f"random_{seed}",
        seed=seed,
        altitude_km=altitude_km,
        sub_spacecraft_latitude_deg=latitude,
        sub_spacecraft_longitude_deg=between(0, 360),
        phase_deg=between(10, 100) if not shifted else between(15, 110),
        sun_azimuth_deg=between(0, 360),
        twist_deg=between(0, 360),
        sun_distance_au=between(2.6, 2.97),
        relief_strength=between(0.8, 1.25) if not shifted else between(1.3, 1.8),
        roughness=between(0.6, 1.6) if not shifted else between(1.5, 2.5),
        crater_density=between(0.6, 1.4) if not shifted else between(1.6, 2.2),
        crater_slope=between(1.8, 2.3),
        fresh_fraction=between(0.05, 0.3),
        mottling=between(0.02, 0.08),
        mottling_slope=between(0.1, 0.6),
        wall_streaks=between(0.0, 0.3),
        halo_fraction=between(0.03, 0.3),
        random_spots=int(rng.integers(4, 25)),
        dark_spots=int(rng.integers(0, 5)),
        named_spots=pixel_km > 0.05,
        disk_function=str(
            rng.choice(["lambert", "lommel_seeliger"] if shifted else ["akimov", "lunar_lambert"])
        ),
        disk_weight=between(0.85, 1.0) if not shifted else between(0.4, 0.8),
        psf_fwhm_px=between(1.2, 1.7) if not shifted else between(1.8, 2.4),
        psf_wings=between(0.0, 0.05),
        smear_px=(between(-0.4, 0.4), between(-0.4, 0.4)),
        exposure_level=float(np.exp(rng.uniform(np.log(0.03), np.log(0.4)))),
        cosmic_rays=between(5, 40),
        stray_light=between(0.0, 0.01),
        stray_light_gradient=between(-0.01, 0.01),
    )
    return replace(scene, **changes)  # type: ignore[arg-type]
