"""Ceres' named ground: craters, mountains and bright spots at their real places.

Coordinates (planetocentric, east) and diameters: USGS Gazetteer of Planetary Nomenclature, IAU names
on Ceres. How fresh a crater looks, and every contrast and patch diameter of a spot other than
Cerealia and Vinalia, are invented for rendering: plausible, not measured.
"""

from __future__ import annotations

from brightspot.simulate.scene import Spot

# fmt: off
NAMED_CRATERS: tuple[tuple[str, float, float, float, float], ...] = (
    ("Kerwan", -10.77, 123.99, 280, 0.25), ("Yalode", -42.58, 292.48, 260, 0.45),
    ("Urvara", -45.66, 249.24, 170, 0.65), ("Duginavi", 39.2, 4.29, 155, 0),
    ("Vinotonus", 43.02, 95.12, 140, 0), ("Coniraya", 39.9, 65.73, 135, 0),
    ("Zadeni", -70.36, 38.34, 129.28, 0), ("Mondamin", -62.24, 354, 126, 0),
    ("Dantu", 24.3, 138.23, 126, 0.8), ("Chaminuka", -58.58, 131.2, 122, 0),
    ("Ezinu", 43.24, 195.7, 116, 0), ("Kirnis", 4.9, 264.3, 115, 0), ("Meanderi", -40.8, 194.19, 103, 0),
    ("Begbalel", 17.71, 325.35, 102, 0), ("Kumitoga", -10.09, 178.83, 96, 0),
    ("Occator", 19.82, 239.33, 92, 1), ("Darzamat", -44.21, 76.4, 92, 0), ("Toharu", -48.32, 155.95, 86, 0),
    ("Geshtin", 57, 258.81, 80, 0), ("Gaue", 30.81, 86.16, 80, 0.75), ("Megwomets", 36.54, 146.22, 78.7, 0),
    ("Nawish", 18.28, 193.79, 77, 0), ("Omonga", 58.03, 71.67, 77, 0), ("Kaikara", 42.82, 222.43, 72, 0),
    ("Homshuk", 11.23, 94.06, 70, 0), ("Jarimba", -24.08, 21.25, 69, 0), ("Fejokoo", 29.15, 312.11, 68, 0),
    ("Inamahari", 14.13, 89.22, 68, 0), ("Ghanan", 76.56, 30.76, 68, 0), ("Rongo", 3.21, 348.71, 68, 0),
    ("Jarovit", 67.9, 284.74, 66, 0), ("Consus", -20.7, 200.5, 64, 0), ("Hamori", -60.86, 79.44, 60, 0),
    ("Datan", 59.5, 252.31, 60, 0), ("Fluusa", -31.31, 178.22, 60, 0), ("Annona", -48.14, 8.43, 60, 0),
    ("Sedana", 36.5, 314.7, 58, 0), ("Sintana", -48.07, 46.2, 58, 0), ("Asari", 83.03, 319.88, 56, 0),
    ("Ernutet", 52.93, 45.52, 53.4, 0.6), ("Ikapati", 33.84, 45.61, 50, 0.9),
    ("Azacca", -6.66, 218.4, 49.91, 0.8), ("Shakaema", -3.66, 33.93, 47, 0),
    ("Kondos", -19.34, 17.31, 44, 0), ("Mlezi", 75.9, 223.2, 41.5, 0), ("Sekhet", -66.42, 255.05, 40, 0),
    ("Inkosazana", 31.8, 155.1, 40, 0), ("Achita", 25.82, 65.96, 40, 0.8),
    ("Hatipowa", -16.08, 357.71, 40, 0), ("Messor", 49.93, 233.73, 40, 0.7),
    ("Ninsar", 30.3, 263.26, 40, 0), ("Heneb", 10.87, 191.04, 39, 0), ("Razeka", -3.21, 61.63, 38.38, 0),
    ("Lociyo", -6.53, 228.83, 37.8, 0), ("Anura", -13.92, 11.79, 37, 0),
    ("Belun", -33.71, 356.25, 36.04, 0), ("Tupo", -32.35, 88.38, 36, 0.85),
    ("Tibong", -29.82, 352.2, 36, 0), ("Aristaeus", 23.43, 97.68, 35.8, 0),
    ("Kokopelli", 18.3, 124.5, 34, 0.85), ("Haulani", 5.8, 10.77, 34, 1),
    ("Tafakula", -19.82, 88.59, 34, 0), ("Shennong", 69, 28.1, 32.5, 0), ("Abellio", 33.2, 293.09, 32, 0),
    ("Victa", 36.23, 301.04, 32, 0), ("Kaneki", 23.8, 294.6, 31.5, 0), ("Telepinu", 23.2, 335.6, 31, 0),
    ("Piuku", -15.37, 36.99, 31, 0), ("Jacheongbi", -69.2, 2.3, 31, 0), ("Bonsu", 1.74, 93.21, 31, 0),
    ("Laukumate", 65.03, 159.42, 29.7, 0), ("Hakumyi", 51.42, 27.75, 29.2, 0),
    ("Oltagon", -25.95, 37.96, 28, 0), ("Nepen", 6.19, 220.54, 26.4, 0), ("Kupalo", -39.44, 173.2, 26, 1),
    ("Insitor", -10.71, 124.87, 26, 0), ("Tahu", -6.59, 44.79, 25, 0), ("Cozobi", 45.33, 287.31, 24, 0),
    ("Liber", 42.56, 37.8, 23, 0), ("Xochipilli", 56.66, 93.21, 22.7, 0), ("Attis", -73.07, 257.84, 22, 0),
    ("Jaja", 52.09, 125.27, 22, 0), ("Nunghui", -54, 272.3, 22, 0), ("Roskva", 58.9, 333.02, 22, 0),
    ("Takel", 50.76, 280.48, 22, 0), ("Dikhan", 81.8, 78.1, 21, 0), ("Ratumaibulu", -67.3, 77.5, 20, 0),
    ("Lono", -36.61, 304.37, 20, 0), ("Halki", 25.9, 334.6, 20, 0), ("Emesh", 11.1, 158.2, 20, 0),
    ("Juling", -35.9, 168.48, 20, 0.9), ("Kiriamma", 50.32, 126.33, 18.7, 0),
    ("Cachimana", 85.3, 213.2, 18, 0), ("Besua", -42.35, 300.21, 17, 0),
    ("Ialonus", 48.15, 168.53, 16.5, 0), ("Binayo", 86.4, 145.2, 16, 0), ("Doliku", -40.79, 5.88, 15, 0),
    ("Jumis", 51.6, 316.4, 15, 0), ("Cacaguat", -1.19, 143.61, 13.6, 1), ("Dada", 58.63, 336.76, 12, 0),
    ("Rao", 8.1, 119.01, 12, 0.95), ("Peko", 39.7, 331.4, 11, 0), ("Oxo", 42.21, 359.6, 10, 1),
    ("Enkimdu", 78.9, 259.1, 9, 0), ("Tawals", -39.06, 238.02, 8.8, 1), ("Xevioso", 0.7, 310.6, 8.5, 1),
    ("Braciaca", -22.77, 84.37, 8, 1), ("Thrud", -71.3, 31, 7.8, 0), ("Bilwis", 86.2, 79.6, 7, 0),
    ("Damia", 81.7, 315.5, 7, 0), ("Kahukura", 61.4, 221.4, 6.3, 0), ("Centeotl", 18.95, 141.22, 6, 1),
    ("Axomama", 22.8, 131.9, 5, 1), ("Zatik", 69.9, 114, 4, 0), ("Kait", -2.1, 0, 0.4, 1),
)
"""Name, latitude, longitude, diameter in km, freshness (0: drawn at random; invented)."""
# fmt: on

SWELLS: tuple[tuple[str, float, float, float, float], ...] = (
    ("Hanami Planum", 15.0, 230.0, 555.0, 3.6),
    ("Vendimia Planitia", 23.0, 135.0, 750.0, -2.5),
)
"""Name, latitude, longitude, diameter in km, height in km (heights invented)."""

MOUNTAINS: tuple[tuple[str, float, float, float, float], ...] = (
    ("Ahuna Mons", -10.48, 316.20, 20.0, 4.0),
    ("Liberalia Mons", 6.02, 311.01, 90.0, 2.0),
    ("Yamor Mons", 85.5, 12.0, 16.0, 3.0),
    ("Kwanzaa Tholus", 32.06, 326.68, 48.0, 2.0),
    ("Wangala Tholus", -21.62, 6.64, 50.0, 2.0),
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
