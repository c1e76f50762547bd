"""Ceres' named ground: craters, mountains and bright spots at their real places.

Coordinates and diameters: `brightspot.gazetteer`. How fresh a crater looks, and every contrast and patch
diameter of a spot other than Cerealia and Vinalia, are invented for rendering: plausible, not measured.
"""

from __future__ import annotations

from brightspot import gazetteer
from brightspot.gazetteer import CRATERS, PLAINS
from brightspot.simulate.scene import Spot

# fmt: off
FRESHNESS = {
    "Kerwan": 0.25, "Yalode": 0.45, "Urvara": 0.65, "Dantu": 0.8, "Occator": 1, "Gaue": 0.75, "Ernutet": 0.6,
    "Ikapati": 0.9, "Azacca": 0.8, "Achita": 0.8, "Messor": 0.7, "Tupo": 0.85, "Kokopelli": 0.85,
    "Haulani": 1, "Kupalo": 1, "Juling": 0.9, "Cacaguat": 1, "Rao": 0.95, "Oxo": 1, "Tawals": 1,
    "Xevioso": 1, "Braciaca": 1, "Centeotl": 1, "Axomama": 1, "Kait": 1,
}
"""How fresh a crater looks, 0 to 1 (invented); one that is not named here is drawn at random."""
# fmt: on

NAMED_CRATERS: tuple[tuple[str, float, float, float, float], ...] = tuple(
    (*crater, FRESHNESS.get(crater.name, 0.0)) for crater in CRATERS
)
"""Name, latitude, longitude, diameter in km, freshness (0: drawn at random)."""

SWELLS: tuple[tuple[str, float, float, float, float], ...] = tuple(
    (*plain, height_km) for plain, height_km in zip(PLAINS, (3.6, -2.5), strict=True)
)
"""Name, latitude, longitude, diameter in km, height in km (heights invented)."""

MOUNTAINS: tuple[tuple[str, float, float, float, float], ...] = tuple(
    (*mountain, height_km)
    for mountain, height_km in zip(gazetteer.MOUNTAINS, (4.0, 2.0, 3.0, 2.0, 2.0), strict=True)
)
"""Name, latitude, longitude, diameter in km, height in km (Ahuna Mons about 4 km; others invented)."""

PITTED_CRATERS = ("Occator",)
"""Craters with a central pit: Occator's is about 10 km wide (NASA SVS 13095)."""

FLOOR_HEIGHT_KM = {"Occator": 0.0}
"""Floors put at a given height above the spheroid, so that their spots show no parallax."""

NAMED_SPOTS: tuple[Spot, ...] = (
    # Cerealia: the gazetteer's 14 km, core as wide as the pit's bright middle; albedo about six times
    # Ceres' mean at best resolution (Scully et al. 2019), less on average. The rim stands above half of the
    # core's excess, so that its diameter is also the one at half maximum.
    Spot("Cerealia Facula", 19.70, 239.60, 14.0, 4.6, 7.0, 6.0, 0.12, 0.1),
    # Vinalia: several patches over 19 km (gazetteer extent); drawn as one ragged patch about its centre.
    Spot("Vinalia Faculae", 20.20, 242.00, 9.0, 2.6, 0.0, 1.0, 0.2, 0.3),
    Spot("Haulani", 5.80, 10.77, 8.0, 1.6, 0.0, 1.0, 0.3, 0.4),
    Spot("Oxo", 42.21, 359.60, 7.0, 1.9, 0.0, 1.0, 0.2, 0.3),
    Spot("Kupalo", -39.44, 173.20, 6.0, 1.7, 0.0, 1.0, 0.2, 0.4),
    Spot("Juling", -35.90, 168.48, 4.0, 1.5, 0.0, 1.0, 0.2, 0.4),
    Spot("Dantu", 24.30, 138.23, 7.0, 1.5, 0.0, 1.0, 0.3, 0.5),
    Spot("Dantu south", 22.60, 138.90, 4.0, 1.6, 0.0, 1.0, 0.2, 0.4),
    Spot("Ahuna Mons flank", -10.40, 315.60, 8.0, 1.5, 0.0, 1.0, 0.3, 0.5),
    Spot("Ernutet", 52.93, 45.52, 9.0, 1.35, 0.0, 1.0, 0.4, 0.5),
    Spot("Ikapati", 33.84, 45.61, 6.0, 1.45, 0.0, 1.0, 0.3, 0.4),
    Spot("Urvara", -45.66, 249.24, 8.0, 1.35, 0.0, 1.0, 0.3, 0.5),
    Spot("Gaue", 30.81, 86.16, 5.0, 1.35, 0.0, 1.0, 0.3, 0.4),
    Spot("Azacca", -6.66, 218.40, 6.0, 1.6, 0.0, 1.0, 0.2, 0.4),
    Spot("Kokopelli", 18.30, 124.50, 4.0, 1.4, 0.0, 1.0, 0.2, 0.3),
    Spot("Rao", 8.10, 119.01, 4.0, 1.45, 0.0, 1.0, 0.2, 0.3),
    Spot("Braciaca", -22.77, 84.37, 3.5, 1.5, 0.0, 1.0, 0.2, 0.3),
    Spot("Tawals", -39.06, 238.02, 3.5, 1.45, 0.0, 1.0, 0.2, 0.3),
    Spot("Xevioso", 0.70, 310.60, 4.0, 1.7, 0.0, 1.0, 0.2, 0.3),
    Spot("Cacaguat", -1.19, 143.61, 5.0, 1.7, 0.0, 1.0, 0.2, 0.3),
    Spot("Axomama", 22.80, 131.90, 3.0, 1.5, 0.0, 1.0, 0.2, 0.3),
    Spot("Centeotl", 18.95, 141.22, 3.0, 1.6, 0.0, 1.0, 0.2, 0.3),
)
"""The known bright spots; see the module's docstring for what is measured and what is invented."""
