"""Outlines as polygons on the body: cut at 180 degrees, closed over a pole, and what the coordinates mean.

Coordinates are kept in two ways. On the spheroid of 482 x 482 x 446 km geographic programs take latitude for
the planetographic one (the angle of the local vertical), and areas come out right. Planetocentric latitude,
which the tables and Dawn's maps give, is up to 4.4 degrees smaller there; no common vector format can
say so of a spheroid (GDAL drops it without a word), so with it goes a sphere, on which both are the same.
"""

from __future__ import annotations

import numpy as np

from brightspot import ceres
from brightspot.outline import Outline, ring_area

Ring = np.ndarray
"""(n, 2) longitude and latitude in degrees, first vertex = last."""

Polygon = list[Ring]
"""Outer ring (counter-clockwise, seen from above), then holes (clockwise)."""

_UNIT = 'ANGLEUNIT["degree",0.0174532925199433]'
_MERIDIAN = f'PRIMEM["Reference Meridian",0,{_UNIT}]'


def _geographic(name: str, datum: str, ellipsoid: str, kind: str) -> str:
    return (
        f'GEOGCRS["{name}",DATUM["{datum}",{ellipsoid},ANCHOR["Kait: 0.0"]],{_MERIDIAN},CS[ellipsoidal,2],'
        f'AXIS["{kind} latitude (Lat)",north,ORDER[1],{_UNIT}],AXIS["longitude (Lon)",east,ORDER[2],{_UNIT}]]'
    )


def _ellipsoid(name: str, a_km: float, c_km: float) -> str:
    inverse_flattening = 0.0 if a_km == c_km else a_km / (a_km - c_km)
    return f'ELLIPSOID["{name}",{1000 * a_km:.0f},{inverse_flattening:.12g},LENGTHUNIT["metre",1]]'


_A_KM, _, _C_KM = ceres.RADII_KM

SPHEROID_WKT = _geographic(
    f"Ceres (Dawn, {_A_KM:g} x {_C_KM:g} km) / Planetographic latitude, east longitude",
    f"Ceres ({ceres.ORIENTATION.source})",
    _ellipsoid(f"Ceres spheroid {_A_KM:g} x {_C_KM:g} km", _A_KM, _C_KM),
    "planetographic",
)
"""Spheroid, planetographic latitude: areas and distances are right."""

SPHERE_WKT = _geographic(
    f"Ceres (Dawn map sphere, {ceres.MEAN_RADIUS_KM:g} km) / Planetocentric latitude, east longitude",
    f"Ceres sphere ({ceres.ORIENTATION.source})",
    _ellipsoid(f"Ceres sphere {ceres.MEAN_RADIUS_KM:g} km", ceres.MEAN_RADIUS_KM, ceres.MEAN_RADIUS_KM),
    "planetocentric",
)
"""The sphere of Dawn's maps, planetocentric latitude: lies on the maps; areas are up to 11 per cent off."""


def planetographic_deg(latitude_deg: np.ndarray) -> np.ndarray:
    """Planetographic latitude of a planetocentric one on the spheroid: tan of it times (a / c) squared."""
    latitude = np.radians(latitude_deg)
    return np.degrees(np.arctan2(_A_KM**2 * np.sin(latitude), _C_KM**2 * np.cos(latitude)))


def planetographic(polygon: Polygon) -> Polygon:
    """The same polygon with planetographic latitudes."""
    return [np.stack([ring[:, 0], planetographic_deg(ring[:, 1])], axis=1) for ring in polygon]


def body_polygons(outline: Outline) -> list[Polygon]:
    """Polygons of an outline on Ceres.

    Parameters
    ----------
    outline : Outline
        With or without latitudes and longitudes.

    Returns
    -------
    list of list of numpy.ndarray
        Longitude (-180 to 180, east) and planetocentric latitude, one polygon per piece; a piece that
        crosses 180 degrees is cut there (RFC 7946, 3.1.9), one around a pole runs along latitude 90.
        Vertices beyond the limb are left out. Empty where nothing is known.
    """
    if outline.latitude_deg is None or outline.longitude_deg is None:
        return []
    pieces: list[Polygon] = []
    for rings in outline.polygons():
        outer, *holes = (_unwrapped(outline.longitude_deg[r], outline.latitude_deg[r]) for r in rings)
        if outer is None:
            continue
        middle = outer[:, 0].mean()
        known = [hole for hole in holes if hole is not None]
        turns = [360.0 * np.round((hole[:, 0].mean() - middle) / 360.0) for hole in known]
        pieces += _cut([outer, *(hole - (turn, 0.0) for hole, turn in zip(known, turns, strict=True))])
    return pieces


def _unwrapped(longitude: np.ndarray, latitude: np.ndarray) -> Ring | None:
    """A ring without jumps, around the pole where it encloses one; None if too little of it is known."""
    known = np.isfinite(longitude) & np.isfinite(latitude)
    if known.sum() < 4:
        return None  # three corners and the first again
    longitude, latitude = longitude[known], latitude[known]
    if longitude[0] != longitude[-1] or latitude[0] != latitude[-1]:
        longitude, latitude = np.append(longitude, longitude[0]), np.append(latitude, latitude[0])
    ring = np.stack([np.unwrap(longitude, period=360.0), latitude], axis=1)
    if abs(ring[-1, 0] - ring[0, 0]) > 180.0:
        return _around_pole(ring)
    ring[-1] = ring[0]  # closed to the last bit, which unwrapping rounds
    return ring


def _around_pole(ring: Ring) -> Ring:
    """Closed over the pole, where the open ring crosses 180 degrees nearest to it."""
    pole = 90.0 if ring[:, 1].mean() > 0.0 else -90.0
    turn = np.array([ring[-1, 0] - ring[0, 0], 0.0])
    before, after = ring[:-1], ring[1:]
    low, high = (np.floor((part[:, 0] - 180.0) / 360.0) for part in (before, after))
    k = max(np.flatnonzero(low != high), key=lambda k: abs(before[k, 1]))
    start = _crossing(before[k], after[k], 360.0 * max(low[k], high[k]) + 180.0)
    ring = np.concatenate([start, ring[k + 1 : -1], ring[: k + 1] + turn, start + turn])
    return np.concatenate([ring, [[ring[-1, 0], pole], [ring[0, 0], pole], ring[0]]])


def _cut(polygon: Polygon) -> list[Polygon]:
    """Cut at every odd multiple of 180 degrees, shifted into -180 to 180, wound as RFC 7946 asks."""
    pieces = [[_wound(ring, 1 if k == 0 else -1) for k, ring in enumerate(polygon)]]
    done: list[Polygon] = []
    while pieces:
        piece = pieces.pop()
        end = 360.0 * np.floor((piece[0][:, 0].min() + 180.0) / 360.0) + 180.0
        if piece[0][:, 0].max() <= end:
            if abs(ring_area(piece[0][:, 0], piece[0][:, 1])) > 1e-12:
                done.append([ring - (end - 180.0, 0.0) for ring in piece])
        else:
            pieces += _half(piece, end, east=False) + _half(piece, end, east=True)
    return done


def _wound(ring: Ring, sign: int) -> Ring:
    return ring if sign * ring_area(ring[:, 0], ring[:, 1]) >= 0.0 else ring[::-1]


def _half(polygon: Polygon, meridian: float, *, east: bool) -> list[Polygon]:
    """The parts of a polygon on one side of a meridian that its outer ring crosses."""
    chains: list[np.ndarray] = []
    holes: list[Ring] = []
    for ring in polygon:
        side = ring[:-1, 0] >= meridian
        if side.any() and not side.all():
            chains += _chains(ring[:-1], side == east, meridian)
        elif bool(side[0]) == east:
            holes.append(ring)
    parts = [[ring] for ring in _joined(chains)]
    for hole in holes:
        next((part for part in parts if _inside(hole[0], part[0])), parts[0]).append(hole)
    return parts


def _chains(points: np.ndarray, own: np.ndarray, meridian: float) -> list[np.ndarray]:
    """Stretches of a ring's vertices that are ``own``, each from meridian to meridian."""
    first = int(np.flatnonzero(own & ~np.roll(own, 1))[0])
    points, own = np.roll(points, -first, axis=0), np.roll(own, -first)
    starts = np.flatnonzero(own & ~np.roll(own, 1))
    stops = np.flatnonzero(own & ~np.roll(own, -1)) + 1
    return [
        np.concatenate(
            [
                _crossing(points[a - 1], points[a], meridian),
                points[a:b],
                _crossing(points[b - 1], points[b % len(points)], meridian),
            ]
        )
        for a, b in zip(starts, stops, strict=True)
    ]


def _crossing(a: np.ndarray, b: np.ndarray, meridian: float) -> np.ndarray:
    share = (meridian - a[0]) / (b[0] - a[0])
    return np.array([[meridian, a[1] + share * (b[1] - a[1])]])


def _joined(chains: list[np.ndarray]) -> list[Ring]:
    """Closed rings of chains that begin and end on one meridian.

    Along it the polygon lies between the first and the second end, the third and the fourth, and so on:
    of each such two one chain leaves and another, or the same, goes on.
    """
    ends = sorted((float(c[k, 1]), n, k == 0) for n, c in enumerate(chains) for k in (0, -1))
    onward: dict[int, int] = {}
    for (_, a, a_begins), (_, b, _) in zip(ends[::2], ends[1::2], strict=True):
        onward.update({b: a} if a_begins else {a: b})
    rings, left = [], set(range(len(chains)))
    while left:
        k = min(left)
        linked = []
        while k in left:
            left.remove(k)
            linked.append(chains[k])
            k = onward.get(k, k)
        rings.append(np.concatenate([*linked, linked[0][:1]]))
    return rings


def _inside(point: np.ndarray, ring: Ring) -> bool:
    """Whether a point lies within a ring: the parity of the edges east of it."""
    (x, y), a, b = point, ring[:-1], ring[1:]
    across = (a[:, 1] > y) != (b[:, 1] > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = a[:, 0] + (y - a[:, 1]) / (b[:, 1] - a[:, 1]) * (b[:, 0] - a[:, 0])
    return bool(np.sum(across & (at > x)) % 2)
