"""The limb as an ellipse: least squares with the relief, and the average over where the pole may point."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from brightspot.geometry.lit import HORIZON_LIFT

RELIEF = 0.004
"""Relief of the limb expected in the orders below, rms as a share of the radius (1.9 km)."""

RELIEF_ORDERS, RELIEF_SLOPE = range(3, 13), 1.3
"""Waves per turn of the relief that is fitted with the ellipse, and how their amplitude falls with it."""

ERROR_SCALE = 1.25
"""Errors found on rendered cratered disks over errors computed: craters are not waves of random phase."""

FIGURE_ERROR = 0.002
"""Relative error of the figure itself: ``dawn_ceres_v04.tpc`` has 482.64 and 480.60 km, not 482 twice."""


class Ellipse(NamedTuple):
    """Centre, mean radius and flattening vector: half the flattening along (cos, sin) of twice its angle."""

    x: float
    y: float
    radius: float
    g1: float
    g2: float

    @property
    def half_flattening(self) -> float:
        """Half of 1 - b/a."""
        return float(np.hypot(self.g1, self.g2))

    @property
    def semi_major(self) -> float:
        """Semi-major axis, pixels."""
        return self.radius / (1.0 - self.half_flattening)

    @property
    def semi_minor(self) -> float:
        """Semi-minor axis, pixels."""
        return self.semi_major * (1.0 - 2.0 * self.half_flattening)

    @property
    def angle_rad(self) -> float:
        """Direction of the major axis, from +x towards +y."""
        return 0.5 * float(np.arctan2(self.g2, self.g1))

    def radius_at(self, angle: np.ndarray) -> np.ndarray:
        """Distance from the centre to the ellipse in directions ``angle`` (radians)."""
        a, b = self.semi_major, self.semi_minor
        turned = angle - self.angle_rad
        return a * b / np.hypot(b * np.cos(turned), a * np.sin(turned))


class Points(NamedTuple):
    """Edge points and how much each counts; ``fall`` is how far its direction is on the dark side, 0 to 1."""

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    fall: np.ndarray


class Model(NamedTuple):
    """What is taken for granted of the limb.

    ``flattening`` is the body's own; ``sigma`` the scatter of one point (pixels), neighbours' likeness
    included; ``relief`` the rms of the fitted orders and ``terminator`` the dark side's fall, as shares of
    the radius.
    """

    flattening: float
    sigma: float
    relief: float
    terminator: float


def _system(
    points: Points, ellipse: Ellipse, model: Model
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Normal matrix and right side, with the relief's priors; design and misfit in units of the radius."""
    from brightspot._kernels.limb import normal_equations

    dx, dy = points.x - ellipse.x, points.y - ellipse.y
    misfit = (np.hypot(dx, dy) - ellipse.radius_at(np.arctan2(dy, dx))) / ellipse.radius - HORIZON_LIFT
    weight = points.weight * (ellipse.radius / model.sigma) ** 2
    normal, right, design = normal_equations(
        np.arctan2(dy, dx), points.fall, weight, misfit, RELIEF_ORDERS.start, len(RELIEF_ORDERS)
    )
    doubt = 0.5 * model.terminator + 0.003
    normal[5, 5] += 1.0 / doubt**2
    right[5] += model.terminator / doubt**2
    order = np.repeat(np.array(RELIEF_ORDERS, float), 2)
    power = order**-RELIEF_SLOPE
    power *= model.relief / np.sqrt(np.sum(power[::2] ** 2))
    normal[np.arange(6, 6 + order.size), np.arange(6, 6 + order.size)] += 1.0 / power**2
    return normal, right, design, misfit


def least_squares(points: Points, start: Ellipse, model: Model) -> tuple[Ellipse, np.ndarray]:
    """Most likely ellipse, and each point's distance from it and its fitted relief (pixels).

    The flattening vector is held near what views from random latitudes would show: the flattening is then
    the body's times cos^2(latitude) to first order, the mean square of cos^2 over the sphere is 8/15, and
    the vector's two components share it.
    """
    ellipse = start
    prior = 1.0 / (0.5 * (0.5 * model.flattening) ** 2 * 8.0 / 15.0)
    for _ in range(6):
        normal, right, design, misfit = _system(points, ellipse, model)
        normal[3, 3] += prior
        normal[4, 4] += prior
        right[3:5] -= prior * np.array([ellipse.g1, ellipse.g2])
        normal[np.diag_indices(3)] *= 1.0 + 1e-9
        change = np.linalg.solve(normal, right)
        g = np.array([ellipse.g1, ellipse.g2]) + change[3:5]
        # The axis ratio cannot leave [c/a, 1].
        g *= min(1.0, 0.5 * model.flattening / max(float(np.hypot(*g)), 1e-12))
        move = ellipse.radius * np.clip(change[:3], -0.5, 0.5)
        rest = ellipse.radius * (misfit - design @ change)
        ellipse = Ellipse(
            ellipse.x + float(move[0]),
            ellipse.y + float(move[1]),
            ellipse.radius + float(move[2]),
            *map(float, g),
        )
        if np.max(np.abs(move)) < 1e-3 * max(1.0, 0.01 * ellipse.radius):
            break
    return ellipse, rest


def marginal(points: Points, ellipse: Ellipse, model: Model) -> tuple[np.ndarray, np.ndarray]:
    """Normal matrix (5, 5) and right side (5,) of centre, mean radius and flattening; the rest is left open.

    The unknowns are changes of the ellipse, in units of its radius; relief and the terminator's fall are
    averaged over, and nothing is said of the flattening beforehand.
    """
    normal, right, _, _ = _system(points, ellipse, model)
    keep, rest = slice(0, 5), slice(5, None)
    answer = np.linalg.solve(normal[rest, rest], np.c_[normal[rest, keep], right[rest]])
    matrix = normal[keep, keep] - normal[keep, rest] @ answer[:, :5]
    return 0.5 * (matrix + matrix.T), right[keep] - normal[keep, rest] @ answer[:, 5]


def average_poles(points: Points, ellipse: Ellipse, model: Model) -> tuple[Ellipse, float, float]:
    """Average over every latitude the camera may be above and every direction of the pole.

    Returns
    -------
    tuple
        The ellipse at the mean flattening vector, the mean of 1 / semi-major axis (per pixel) and its
        relative standard deviation.
    """
    normal, right, _, _ = _system(points, ellipse, model)
    shape, rest = [3, 4], [0, 1, 2, *range(5, right.size)]
    covariance = np.linalg.inv(normal[np.ix_(rest, rest)])
    response = covariance @ normal[np.ix_(rest, shape)]
    offset = covariance @ right[rest]
    schur = normal[np.ix_(shape, shape)] - normal[np.ix_(shape, rest)] @ response
    pull = right[shape] - normal[np.ix_(shape, rest)] @ offset
    # Nodes: latitudes evenly in their sine (random over the sphere), pole directions evenly.
    half = 0.5 * model.flattening * (1.0 - ((np.arange(40) + 0.5) / 40.0) ** 2)
    turn = np.arange(60) * (2.0 * np.pi / 60.0)
    g = (half[:, None, None] * np.stack([np.cos(turn), np.sin(turn)], axis=-1)).reshape(-1, 2)
    change = g - np.array([ellipse.g1, ellipse.g2])
    chi2 = np.einsum("ij,jk,ik->i", change, schur, change) - 2.0 * change @ pull
    chance = np.exp(-0.5 * (chi2 - chi2.min()))
    chance /= chance.sum()
    shift = (offset - change @ response.T)[:, :3]
    inverse = (1.0 - np.hypot(g[:, 0], g[:, 1])) / (ellipse.radius * (1.0 + shift[:, 2]))
    mean = float(chance @ inverse)
    relative2 = float(chance @ (inverse / mean - 1.0) ** 2) + float(covariance[2, 2])
    best = chance @ np.c_[shift, g]
    fitted = Ellipse(
        ellipse.x + ellipse.radius * float(best[0]),
        ellipse.y + ellipse.radius * float(best[1]),
        ellipse.radius * (1.0 + float(best[2])),
        float(best[3]),
        float(best[4]),
    )
    return fitted, mean, float(np.sqrt(ERROR_SCALE**2 * relative2 + FIGURE_ERROR**2))
