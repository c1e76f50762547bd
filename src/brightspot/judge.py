"""How far to believe that albedo makes a candidate, and whether two are one: boosted trees, and networks.

In: the features of `FEATURES` that `brightspot.shading` measures. Out: ``albedo_confidence``, a calibrated
probability. The models lie in ``judge.npz``, the record of their fit in ``judge.json`` beside it; they are
fitted to rendered frames (``benchmarks/fit_judge.py``).

Each of three steps is dearer than the one before and sees fewer candidates: a glance at what an object is in
itself; trees on what surrounds it too, rising or falling where physics says so; and a small convolutional
network that is shown the picture around it, turned along the Sun's line.
"""

from __future__ import annotations

import functools
import math
from pathlib import Path

import numpy as np

FEATURES = (
    "contrast",  # peak excess over the local level
    "contrast_to_texture",  # ... over the local scatter
    "texture",  # local scatter
    "light",  # local level over the frame's bright level
    "brightness",  # peak brightness over the frame's bright level
    "n_pixels",  # pixels above half the peak
    "elongation",  # major over minor axis
    "filling",  # pixels over those of the ellipse with the same moments
    "plateau",  # share of the footprint above 0.8 of the peak
    "ring_highest",  # brightest of 16 directions just outside, over the peak
    "ring_share",  # fifth brightest of them
    "ring_median",  # median of them
    "ring_lowest",  # lowest of them
    "shade_share",  # share of the surroundings in shadow or sky
    "shade_beside",  # deepest run of shade beside it along the Sun's line, over the peak
    "shade_other_side",  # ... and on the other side
    "sun_line_net",  # net excess along the Sun's line over the footprint's own
    "sharpness",  # mean of the four neighbours over the peak pixel; next to none left across counts too
    "along_sun",  # 0 .. 1: elongated along the Sun's line
    "second_pixel",  # brightest of the four neighbours over the peak pixel
    "ring8",  # mean of the eight neighbours over the peak pixel
    "saddle",  # saddle to the neighbour kept apart, over the peak
    "neighbour_gap",  # distance to the higher neighbour, over its radius
    "neighbour_share",  # peak over the higher neighbour's
    "over_slope",  # bright: over what a facet at the angle of repose would show; dark: light left
    "above_first_peer",  # peak over the highest other one within 108 px
    "above_third_peer",  # ... and over the third highest
    "incidence",  # degrees, where the geometry is known
    "significance",  # contrast_to_texture times the root of the pixels
    "across_bump",  # mean along the Sun's line through it, less that beside it, over the peak
    "across_significance",  # ... over the scatter of such means
    "along_fall",  # its core less the surroundings along the Sun's line, over the peak
    "across_fall",  # ... across it
    "odd_share",  # how unlike the surroundings on opposite sides are
    "half_bright_share",  # share of the surroundings above half the peak
    "as_bright_share",  # ... above 0.8 of it
    "surroundings_rms",  # root mean square of the surroundings, over the peak
    "along_tilt",  # difference between the two sides along the Sun's line, over the peak
    "emission",  # degrees, where the geometry is known
    "pixel_km",  # width of a pixel there, across the line of sight
    "trees",  # log-odds that the trees give to all of the above
    "look",  # log-odds from the look of its Sun-aligned surroundings
)
"""Names of the features, in the order of the kernel's columns."""

MEASURED = FEATURES.index("trees")
"""So many of them are measured; the last two are what the judge's first two steps make of those."""

PAIR_FEATURES = (
    "saddle",  # saddle between a top and the higher one beside it, over its own height
    "lowest",  # lowest between them on a straight line, over the lower one
    "lowest_sharp",  # ... in the sharpened picture
    "depth_sharp",  # what the lower one stands above that, in local scatters
    "radius",  # of the circle with the area of its footprint, pixels
    "other_radius",  # ... of the higher one's object
    "distance",  # from top to top, pixels
    "share",  # its height over the higher one's
    "along_sun",  # 0 .. 1: they lie in line with the Sun
    "tops",  # how many tops the higher one has beside it
    "filling",  # as in `FEATURES`, of the object that it belongs to
    "height",  # its excess over the local level
    "sharpness",  # as in `FEATURES`, of itself
    "second_pixel",
    "other_filling",  # ... of the higher one's object
    "other_elongation",
    "other_plateau",
    "other_texture",
    "other_incidence",
    "other_ring_share",
)
"""What tells two places from the pieces of one, a top and the higher one beside it; in the columns' order."""

SHARPEST = 0.19
"""Mean of a peak's four neighbours over the peak, ``exp(-4 ln 2 / 1.3^2)``: a point under a PSF of 1.3 px."""

LEAST_GLANCE, LEAST_GLANCE_DARK = -4.0, -5.5
"""Log-odds at a first glance, from what an object is in itself, below which its surroundings are not looked
at. On frames held back nine bright spots in ten pass, faint ones included, and one slope in six; of dark
ones, which few features tell from shadows, two in three and one shadow in ten."""

LEAST_TREES, LEAST_TREES_DARK = -3.5, -5.0
"""Log-odds of the trees below which a place is not looked at by the network. On frames held back 3 bright
spots in 100 that would have a look are left out, and half of the others; at -2.5 8 in 100. Of dark ones 12 in
100, few of which the network would believe, and six in ten of the others."""

NOT_LOOKED_AT = -5.0
"""Stands in for the network's log-odds there."""

NETWORK = (
    "middle", "spread", "k1", "b1", "k2", "b2", "k3", "b3", "m1", "c1", "m2", "c2", "m3", "c3",
    "last", "base",
)  # fmt: skip
"""Arrays of a network in the judge's file: scales of what is told, weights in the order of the layers."""

MOST_TOLD = 3.0
"""Spreads from the middle beyond which a network is told no more: what it was hardly ever shown it cannot
know. At 6 a lone hill on a plain was believed for standing out as nothing else did, and a spot the less the
brighter it was. On five sets of rendered frames F1 is 0.002 lower to 0.004 higher than there."""

TREES_SHARE = 0.35
"""Weight of the trees' log-odds beside the network's.

On frames held back 0.2, 0.35 and 0.5 differ by 0.001 of average precision, 0 costs 0.01.
"""

CROWD_SHARE = 0.4
"""Weight of the crowd, ``log(1 + crowded_by)``, against the log-odds of a single place.

On 2,323 frames that neither trees nor network had seen, average precision of bright candidates is 0.850 at 0,
0.857 at 0.4, 0.856 at 0.6, 0.854 at 0.85; of dark ones, whose trees were fitted to the other three quarters
of these frames, 0.394 at 0, 0.397 at 0.4, 0.396 at 0.6. At 0, of the bright ones that the network was shown
and gave log-odds of 0 to 1, 83 in 100 were spots where the crowds are smallest (a fifth of what was shown),
33 where they are greatest.
"""

PAIR_TREES_SHARE = 0.5
"""Weight of the trees' log-odds beside the network's, for pairs.

On frames held back 0 to 1 differ by 0.002 of average precision; 0.5 is best.
"""

LEAST_PARTED = -0.5
"""Log-odds above which a top is a place of its own beside a higher one.

On frames held back (1,308 pairs of places, some 19,700 of pieces; an eighth of the frames have small spots on
and beside wide deposits) 823 places and 70 pieces pass here, 793 and 52 at 0, 849 and 105 at -1: below this
more pieces come than places. A piece that is told can be seen to be one, a place that is not told is lost.
"""


def albedo_confidence(features: np.ndarray, *, dark: bool = False, crowd: float | None = None) -> np.ndarray:
    """Calibrated probability that albedo, not relief, makes each object.

    Parameters
    ----------
    features : numpy.ndarray
        (n, len(FEATURES)) float32.
    dark : bool
        Judge dark outliers.
    crowd : float, optional
        What `crowded_by` gives for the frame, where these are objects of a part or a binned view of it.

    Returns
    -------
    numpy.ndarray
        (n,) float64.

    Notes
    -----
    Small boosted trees and a network fitted to rendered frames (``benchmarks/fit_judge.py``); the record of
    the fit lies beside the model. Ground that makes many places look a little like albedo makes some that
    look much like it: where there are many, more is asked of each. What is sharper than the PSF is a cosmic
    ray, a hot pixel or noise: 0, and so is what was not worth a look at its surroundings.
    """
    score = log_odds(*_answers(features))
    seen = np.isfinite(score)
    if crowd is None:
        crowd = crowded_by(features)
    model = _trees("dark" if dark else "bright")[0]
    confidence = np.zeros(len(features))
    shifted = score[seen] - CROWD_SHARE * math.log1p(crowd)
    confidence[seen] = np.interp(shifted, model["score"], model["probability"])
    return confidence


def log_odds(trees: np.ndarray, look: np.ndarray) -> np.ndarray:
    """Of each object for itself, (n,), from what trees and network give, (n,); NaN where not looked at."""
    return TREES_SHARE * trees + np.where(np.isnan(look), NOT_LOOKED_AT, look)


def not_albedo(score: np.ndarray) -> np.ndarray:
    """Probability (n,) at log-odds (n,) that something else makes an object."""
    return 1.0 / (1.0 + np.exp(score))


def crowded_by(features: np.ndarray) -> float:
    """How many objects (n, len(FEATURES)) that the network was shown are not to be expected to be albedo."""
    trees, look = _answers(features)
    score = log_odds(trees, look)[np.isfinite(trees) & np.isfinite(look)]
    # Summed exactly: a flipped frame has its objects in another order.
    return math.fsum(not_albedo(score))


def _answers(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What trees and network gave to objects, (n,) float64 each."""
    trees, look = (features[:, FEATURES.index(name)].astype(np.float64) for name in ("trees", "look"))
    return trees, look


def worth_a_look(features: np.ndarray, *, dark: bool, slack: float = 0.0) -> np.ndarray:
    """(n,) bool, objects not hopeless, or no more so than ``slack``, by what they are in themselves."""
    return passes_glance(_score("glance_dark" if dark else "glance_bright", features), dark=dark, slack=slack)


def passes_glance(glance: np.ndarray, *, dark: bool, slack: float = 0.0) -> np.ndarray:
    """(n,) bool, objects that the log-odds ``glance`` (n,) leave, or that miss it by ``slack`` at most."""
    return glance >= (LEAST_GLANCE_DARK if dark else LEAST_GLANCE) - slack


def worth_the_network(trees: np.ndarray, *, dark: bool, slack: float = 0.0) -> np.ndarray:
    """(n,) bool, objects that the log-odds ``trees`` (n,) leave, or that miss it by less than ``slack``."""
    return trees > (LEAST_TREES_DARK if dark else LEAST_TREES) - slack


def score_trees(features: np.ndarray, *, dark: bool) -> np.ndarray:
    """Log-odds (n,) that the trees give to objects whose surroundings were described."""
    return _score("dark" if dark else "bright", features)


def too_sharp(features: np.ndarray) -> np.ndarray:
    """(n,) bool, objects sharper than the PSF; their surroundings are not described."""
    return features[:, FEATURES.index("sharpness")] < SHARPEST


def network_inputs(features: np.ndarray, *, dark: bool | np.ndarray) -> np.ndarray:
    """Features on scales that a network takes, whether the angles and the Sun's line are known, and ``dark``.

    Parameters
    ----------
    features : numpy.ndarray
        (n, len(FEATURES)).
    dark : bool or numpy.ndarray
        Of dark outliers; (n,) bool if of both kinds.

    Returns
    -------
    numpy.ndarray
        (n, MEASURED + 3) float32; NaN where not known.
    """
    known = [np.isfinite(features[:, FEATURES.index(name)]) for name in ("incidence", "shade_other_side")]
    told = compressed(features[:, :MEASURED])
    return np.column_stack([told, *known, np.full(len(told), dark)]).astype(np.float32)


def compressed(features: np.ndarray) -> np.ndarray:
    """Features on a scale on which large ones differ no more than small ones."""
    return np.sign(features) * np.log1p(3.0 * np.abs(features))


def scaled(told: np.ndarray, middle: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """What `network_inputs` gives, less ``middle`` and over ``spread`` (m,); 0 where not known."""
    return np.nan_to_num(np.clip((told - middle) / spread, -MOST_TOLD, MOST_TOLD))


def score_looks(patches: np.ndarray, features: np.ndarray, *, dark: bool | np.ndarray) -> np.ndarray:
    """Log-odds that the network gives to candidates.

    Parameters
    ----------
    patches : numpy.ndarray
        (n, 25, 25) float32, from `brightspot.shading.look_patches`.
    features : numpy.ndarray
        (n, len(FEATURES)) float32.
    dark : bool or numpy.ndarray
        Of dark outliers; (n,) bool if of both kinds.

    Returns
    -------
    numpy.ndarray
        (n,) float64.
    """
    return _ask("look", patches, network_inputs(features, dark=dark), half_turn=True)


def are_two(pairs: np.ndarray, patches: np.ndarray) -> np.ndarray:
    """Whether each object is a place of its own beside its higher neighbour, given that both are albedo.

    A torn deposit falls into ragged pieces with high saddles between them; two deposits are each round and
    full.

    Parameters
    ----------
    pairs : numpy.ndarray
        (n, len(PAIR_FEATURES)) float32, from `brightspot.pairs.pair_features`.
    patches : numpy.ndarray
        (n, 17, 33) float32, from `brightspot.pairs.pair_patches`.

    Returns
    -------
    numpy.ndarray
        (n,) bool.

    Notes
    -----
    Small trees and a network that is shown the picture around the two, fitted with the judge
    (``benchmarks/fit_judge.py``) to pieces of rendered deposits and to rendered neighbours.
    """
    look = _ask("between", patches, compressed(pairs).astype(np.float32), half_turn=False)
    return PAIR_TREES_SHARE * _score("pair", pairs) + look > LEAST_PARTED


def _ask(network: str, patches: np.ndarray, told: np.ndarray, *, half_turn: bool) -> np.ndarray:
    """Log-odds (n,) that one of the networks gives to patches (n, rows, columns) and what is told (n, m)."""
    from brightspot._kernels import judge as kernels

    middle, spread, *weights = _network(network)
    score = np.empty(len(patches))
    kernels.judge_looks(patches, scaled(told, middle, spread), half_turn, *weights, score)
    return score


def _score(kind: str, rows: np.ndarray) -> np.ndarray:
    """Log-odds (n,) that one of the models in the judge's file gives to rows of features."""
    from brightspot._kernels import judge as kernels

    data, trees = _trees(kind)
    score = np.zeros(len(rows))
    kernels.sum_trees(np.ascontiguousarray(rows, np.float32), *trees, score)
    return score + float(data["base"])


@functools.cache
def _arrays() -> dict[str, np.ndarray]:
    """All arrays of the judge's file."""
    with np.load(Path(__file__).parent / "judge.npz", allow_pickle=False) as file:
        return dict(file)


@functools.cache
def _trees(kind: str) -> tuple[dict[str, np.ndarray], tuple[np.ndarray, ...]]:
    """Arrays of one model in the judge's file, and its trees as the kernel takes them."""
    own = f"{kind}_"
    data = {name.removeprefix(own): array for name, array in _arrays().items() if name.startswith(own)}
    trees = (
        data["feature"].astype(np.int32),
        data["number"].astype(np.float32),
        data["right"].astype(np.int32),
        np.unpackbits(data["missing_left"]).astype(np.bool_),
        data["root"].astype(np.int32),
    )
    return data, trees


@functools.cache
def _network(kind: str) -> tuple[np.ndarray, ...]:
    """Arrays of one network in the judge's file, float32."""
    return tuple(_arrays()[f"{kind}_{name}"].astype(np.float32) for name in NETWORK)
