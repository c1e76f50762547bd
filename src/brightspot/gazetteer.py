"""IAU names on Ceres: craters, mountains, plains and faculae, with place and size.

Source: USGS Gazetteer of Planetary Nomenclature (https://planetarynames.wr.usgs.gov), target Ceres:
planetocentric latitude, east longitude from 0 to 360, diameter in km.
"""

from __future__ import annotations

from typing import NamedTuple

SOURCE = "USGS Gazetteer of Planetary Nomenclature"
"""Where every name, place and size is from."""


class Feature(NamedTuple):
    """A named place: its middle, and its width or longest extent."""

    name: str
    latitude_deg: float
    longitude_deg: float
    diameter_km: float


def _features(*rows: tuple[str, float, float, float]) -> tuple[Feature, ...]:
    return tuple(Feature(*row) for row in rows)


# fmt: off
CRATERS = _features(
    ("Kerwan", -10.77, 123.99, 280), ("Yalode", -42.58, 292.48, 260), ("Urvara", -45.66, 249.24, 170),
    ("Duginavi", 39.2, 4.29, 155), ("Vinotonus", 43.02, 95.12, 140), ("Coniraya", 39.9, 65.73, 135),
    ("Zadeni", -70.36, 38.34, 129.28), ("Mondamin", -62.24, 354, 126), ("Dantu", 24.3, 138.23, 126),
    ("Chaminuka", -58.58, 131.2, 122), ("Ezinu", 43.24, 195.7, 116), ("Kirnis", 4.9, 264.3, 115),
    ("Meanderi", -40.8, 194.19, 103), ("Begbalel", 17.71, 325.35, 102), ("Kumitoga", -10.09, 178.83, 96),
    ("Occator", 19.82, 239.33, 92), ("Darzamat", -44.21, 76.4, 92), ("Toharu", -48.32, 155.95, 86),
    ("Geshtin", 57, 258.81, 80), ("Gaue", 30.81, 86.16, 80), ("Megwomets", 36.54, 146.22, 78.7),
    ("Nawish", 18.28, 193.79, 77), ("Omonga", 58.03, 71.67, 77), ("Kaikara", 42.82, 222.43, 72),
    ("Homshuk", 11.23, 94.06, 70), ("Jarimba", -24.08, 21.25, 69), ("Fejokoo", 29.15, 312.11, 68),
    ("Inamahari", 14.13, 89.22, 68), ("Ghanan", 76.56, 30.76, 68), ("Rongo", 3.21, 348.71, 68),
    ("Jarovit", 67.9, 284.74, 66), ("Consus", -20.7, 200.5, 64), ("Hamori", -60.86, 79.44, 60),
    ("Datan", 59.5, 252.31, 60), ("Fluusa", -31.31, 178.22, 60), ("Annona", -48.14, 8.43, 60),
    ("Sedana", 36.5, 314.7, 58), ("Sintana", -48.07, 46.2, 58), ("Asari", 83.03, 319.88, 56),
    ("Ernutet", 52.93, 45.52, 53.4), ("Ikapati", 33.84, 45.61, 50), ("Azacca", -6.66, 218.4, 49.91),
    ("Shakaema", -3.66, 33.93, 47), ("Kondos", -19.34, 17.31, 44), ("Mlezi", 75.9, 223.2, 41.5),
    ("Sekhet", -66.42, 255.05, 40), ("Inkosazana", 31.8, 155.1, 40), ("Achita", 25.82, 65.96, 40),
    ("Hatipowa", -16.08, 357.71, 40), ("Messor", 49.93, 233.73, 40), ("Ninsar", 30.3, 263.26, 40),
    ("Heneb", 10.87, 191.04, 39), ("Razeka", -3.21, 61.63, 38.38), ("Lociyo", -6.53, 228.83, 37.8),
    ("Anura", -13.92, 11.79, 37), ("Belun", -33.71, 356.25, 36.04), ("Tupo", -32.35, 88.38, 36),
    ("Tibong", -29.82, 352.2, 36), ("Aristaeus", 23.43, 97.68, 35.8), ("Kokopelli", 18.3, 124.5, 34),
    ("Haulani", 5.8, 10.77, 34), ("Tafakula", -19.82, 88.59, 34), ("Shennong", 69, 28.1, 32.5),
    ("Abellio", 33.2, 293.09, 32), ("Victa", 36.23, 301.04, 32), ("Kaneki", 23.8, 294.6, 31.5),
    ("Telepinu", 23.2, 335.6, 31), ("Piuku", -15.37, 36.99, 31), ("Jacheongbi", -69.2, 2.3, 31),
    ("Bonsu", 1.74, 93.21, 31), ("Laukumate", 65.03, 159.42, 29.7), ("Hakumyi", 51.42, 27.75, 29.2),
    ("Oltagon", -25.95, 37.96, 28), ("Nepen", 6.19, 220.54, 26.4), ("Kupalo", -39.44, 173.2, 26),
    ("Insitor", -10.71, 124.87, 26), ("Tahu", -6.59, 44.79, 25), ("Cozobi", 45.33, 287.31, 24),
    ("Liber", 42.56, 37.8, 23), ("Xochipilli", 56.66, 93.21, 22.7), ("Attis", -73.07, 257.84, 22),
    ("Jaja", 52.09, 125.27, 22), ("Nunghui", -54, 272.3, 22), ("Roskva", 58.9, 333.02, 22),
    ("Takel", 50.76, 280.48, 22), ("Dikhan", 81.8, 78.1, 21), ("Ratumaibulu", -67.3, 77.5, 20),
    ("Lono", -36.61, 304.37, 20), ("Halki", 25.9, 334.6, 20), ("Emesh", 11.1, 158.2, 20),
    ("Juling", -35.9, 168.48, 20), ("Kiriamma", 50.32, 126.33, 18.7), ("Cachimana", 85.3, 213.2, 18),
    ("Besua", -42.35, 300.21, 17), ("Ialonus", 48.15, 168.53, 16.5), ("Binayo", 86.4, 145.2, 16),
    ("Doliku", -40.79, 5.88, 15), ("Jumis", 51.6, 316.4, 15), ("Cacaguat", -1.19, 143.61, 13.6),
    ("Dada", 58.63, 336.76, 12), ("Rao", 8.1, 119.01, 12), ("Peko", 39.7, 331.4, 11),
    ("Oxo", 42.21, 359.6, 10), ("Enkimdu", 78.9, 259.1, 9), ("Tawals", -39.06, 238.02, 8.8),
    ("Xevioso", 0.7, 310.6, 8.5), ("Braciaca", -22.77, 84.37, 8), ("Thrud", -71.3, 31, 7.8),
    ("Bilwis", 86.2, 79.6, 7), ("Damia", 81.7, 315.5, 7), ("Kahukura", 61.4, 221.4, 6.3),
    ("Centeotl", 18.95, 141.22, 6), ("Axomama", 22.8, 131.9, 5), ("Zatik", 69.9, 114, 4),
    ("Kait", -2.1, 0, 0.4),
)
"""All named craters, widest first."""
# fmt: on

PLAINS = _features(
    ("Hanami Planum", 15, 230, 555),
    ("Vendimia Planitia", 23, 135, 750),
)
"""A plateau and a basin."""

MOUNTAINS = _features(
    ("Ahuna Mons", -10.48, 316.2, 20),
    ("Liberalia Mons", 6.02, 311.01, 90),
    ("Yamor Mons", 85.5, 12, 16),
    ("Kwanzaa Tholus", 32.06, 326.68, 48),
    ("Wangala Tholus", -21.62, 6.64, 50),
)
"""Mountains and hills."""

FACULAE = _features(
    ("Cerealia Facula", 19.7, 239.6, 14),
    ("Pasola Facula", 19.47, 239.22, 2.9),
    ("Vinalia Faculae", 20.2, 242, 19),
)
"""Bright places."""

FEATURES = PLAINS + CRATERS + MOUNTAINS + FACULAE
"""All of them."""
