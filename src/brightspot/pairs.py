"""One place or two: neighbours that run into each other, and deposits that fell to pieces.

In: the objects of one polarity, what was measured of them, and which of them are believed to be albedo.
Out: objects again, some parted at a shallow saddle, some joined across a deeper one.

What decides is not how deep the saddle is but everything that is known of two tops together (`are_two`): two
deposits are each round and full, the pieces of one are ragged, as is the ground that shades it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from brightspot.background import Background
from brightspot.judge import FEATURES, PAIR_FEATURES, are_two
from brightspot.segmentation import FOOTPRINT_SHARE, Segmentation, without_detached

SHARPENING = 3.0
"""So many times what a pixel exceeds the mean of its 3 x 3 by is added to it: undoes a blur of about a
pixel and a half of standard deviation, as the PSF and the smoothing make it."""

LEAST_TOP_SHARE = 0.12
"""Second tops are looked for where the picture is above this share of an object's peak: Vinalia Faculae seen
beside Cerealia Facula from 46,000 km have a fifth of its excess."""

LEAST_DEPTH_SHARE, LEAST_DEPTH_SIGMA = 0.05, 1.0
"""A second top stands above its saddle in the sharpened picture by this share of its height, and by this many
local scatters: far less than what parts objects before they are judged."""

REACH = 3.5
"""Pieces of one deposit lie, from peak to peak, no farther apart than so many times the sum of their radii;
small spots on a wide floor meet at a saddle too. Of the neighbours on deposits of the fit's frames that are
farther apart than 2 six in seven are pieces."""

REACH_BINNED = 2.0
"""The same in a binned view: what the frame itself shows apart is only a few bins wide there."""

MARGIN = 4
"""Pixels around an object's footprint in which a second top may lie."""

OWN_FEATURES = (
    "contrast", "contrast_to_texture", "n_pixels", "elongation", "filling", "plateau", "sharpness",
    "second_pixel", "ring8", "saddle",
)  # fmt: skip
"""What is measured anew of parted objects; their surroundings are those of the whole."""


class Tops(NamedTuple):
    """Tops with a higher one beside them, over which it is to be decided whether they are places too.

    Attributes
    ----------
    own, higher : numpy.ndarray
        (m,) int, the objects that the lower and the higher top belong to; the same for a second top.
    place : numpy.ndarray
        (m, 4) int, row and column of the lower and of the higher top.
    saddle : numpy.ndarray
        (m,) float, saddle between them over the lower one's height.
    radius : numpy.ndarray
        (m,) float, px, of the circle with the area of the lower one's footprint.
    pixels, top : numpy.ndarray
        Of second tops: (k, 2) int, the pixels of their footprints, and (k,) int, whose; else empty.
    """

    own: np.ndarray
    higher: np.ndarray
    place: np.ndarray
    saddle: np.ndarray
    radius: np.ndarray
    pixels: np.ndarray = np.empty((0, 2), np.int32)
    top: np.ndarray = np.empty(0, np.int32)


def settle_places(
    background: Background,
    found: Segmentation,
    features: np.ndarray,
    sun_azimuth_deg: np.ndarray,
    believed: np.ndarray,
    *,
    dark: bool,
    binned: bool,
) -> tuple[Segmentation, np.ndarray, np.ndarray, np.ndarray]:
    """Join the pieces of deposits, and part places that run into each other.

    Parameters
    ----------
    background, found : Background, Segmentation
        The levelled frame and its objects.
    features : numpy.ndarray
        (n, len(FEATURES)) float32, from `describe`.
    sun_azimuth_deg : numpy.ndarray
        (n,) as for `describe`.
    believed : numpy.ndarray
        (n,) bool, which objects are taken for albedo.
    dark : bool
        The objects are darker than their surroundings.
    binned : bool
        These are objects of a binned view: what runs together there is apart in the frame itself, so nothing
        is parted, and only what is near is joined.

    Returns
    -------
    tuple
        Segmentation and features of m >= n objects; (m,) float, pixels of each over those of its largest
        piece, 0 for a piece of another; and (m,) int, the object that each comes from, whose confidence it
        has.
    """

    def decide(tops: Tops) -> np.ndarray:
        rows = pair_features(background, found, features, sun_azimuth_deg, tops, dark=dark)
        return are_two(rows, pair_patches(background, tops, dark=dark))

    n = len(believed)
    if not believed.any():
        return found, features, np.ones(n), np.arange(n)
    root, joins = np.arange(n), True
    while joins:  # what has been joined is wider, and may reach others
        higher = higher_beside(found, believed & (root == np.arange(n)), binned=binned)
        beside = np.flatnonzero(higher >= 0)
        higher[beside[decide(neighbours(found, beside, higher[beside]))]] = -1
        found, joined = merge_pieces(found, higher, background.smooth, dark=dark)
        root, joins = joined[root], bool((higher >= 0).any())
    joined = np.bincount(root, minlength=n)
    pieces = joined.astype(float)
    for o in np.flatnonzero(joined > 1).tolist():
        pieces[o] = over_largest_piece(found, o)
    if binned:
        return found, features, pieces, np.arange(n)
    tops = second_tops(background, found, np.flatnonzero(believed & (joined == 1)), dark=dark)
    two = decide(tops)
    found, features = part(background, found, features, tops, two, dark=dark)
    new = tops.own[two]
    return found, features, np.append(pieces, np.ones(len(new))), np.append(np.arange(n), new)


def over_largest_piece(found: Segmentation, o: int) -> float:
    """Pixels of object ``o`` over those of its largest piece; pieces do not touch, not at a corner either."""
    from scipy.ndimage import label

    y0, x0, y1, x1 = found.box[o]
    piece = label(found.labels[y0 : y1 + 1, x0 : x1 + 1] == o + 1, np.ones((3, 3)))[0]
    return float(found.n_pixels[o] / np.bincount(piece[piece > 0]).max())


def higher_beside(found: Segmentation, believed: np.ndarray, *, binned: bool) -> np.ndarray:
    """The believed object that each believed one may be a piece of.

    Parameters
    ----------
    found : Segmentation
        The objects, from the highest peak down.
    believed : numpy.ndarray
        (n,) bool.
    binned : bool
        These are objects of a binned view.

    Returns
    -------
    numpy.ndarray
        (n,) int, of the higher ones within reach the neighbour beyond the first saddle, or the nearest; -1
        for none.
    """
    from brightspot._kernels import pairs as kernels

    which = np.flatnonzero(believed)
    place = np.full(len(believed) + 1, -1)  # the last one for no neighbour
    place[which] = np.arange(len(which))
    radius = np.sqrt(found.n_pixels[which] / np.pi)
    nearest = np.empty(len(which), np.int64)
    reach = REACH_BINNED if binned else REACH
    kernels.find_higher(found.peak_yx[which], radius, place[found.neighbour[which]], reach, nearest)
    out = np.full(len(believed), -1)
    out[which] = np.append(which, -1)[nearest]
    return out


def neighbours(found: Segmentation, which: np.ndarray, higher: np.ndarray) -> Tops:
    """The tops of objects ``which`` (m,) beside the ``higher`` (m,) ones."""
    met = found.neighbour[which] == higher
    place = np.concatenate([found.peak_yx[which], found.peak_yx[higher]], axis=1)
    # What meets at no saddle above the floor has none.
    saddle = np.where(met, found.saddle[which] / found.peak[which], 0.0)
    return Tops(which, higher, place, saddle, np.sqrt(found.n_pixels[which] / np.pi))


def second_tops(background: Background, found: Segmentation, which: np.ndarray, *, dark: bool) -> Tops:
    """Tops of objects besides their peak, in the sharpened picture.

    Parameters
    ----------
    background, found : Background, Segmentation
        The levelled frame and its objects.
    which : numpy.ndarray
        (n,) int, the objects to look at.
    dark : bool
        The objects are darker than their surroundings.

    Returns
    -------
    Tops
        Each footprint holds the pixels that lead to the top and are above half of it.
    """
    from brightspot._kernels import pairs as kernels

    b, sign = background, -1 if dark else 1
    size = found.box[which, 2:] - found.box[which, :2] + 1 + 2 * MARGIN
    room = int(size.prod(axis=1).sum())
    owner, share, top = np.empty(room, np.int64), np.empty(room, np.float32), np.empty(room, np.int32)
    place, pixels = np.empty((room, 4), np.int32), np.empty((room, 2), np.int32)
    n, n_pixels = kernels.find_tops(
        b.smooth, sign, found.labels, found.peak, found.peak_yx, found.box, which, b.rms,
        np.float32(SHARPENING), LEAST_TOP_SHARE, LEAST_DEPTH_SHARE, LEAST_DEPTH_SIGMA, MARGIN,
        b.step, b.y0, b.x0, owner, place, share, pixels, top,
    )  # fmt: skip
    owner, place, share = owner[:n], place[:n], share[:n]
    pixels, top = pixels[:n_pixels], top[:n_pixels]
    height = sign * b.smooth[place[:, 0], place[:, 1]]
    high = sign * b.smooth[pixels[:, 0], pixels[:, 1]] >= FOOTPRINT_SHARE * height[top]
    pixels, top = pixels[high], top[high]
    # Ground of no object may lie in two windows: it is the highest top's, and a top on another's is none.
    order = np.lexsort((top, -height[top]))
    _, first = np.unique(pixels[order] @ [b.smooth.shape[1], 1], return_index=True)
    own = order[first]
    keep = np.zeros(n, bool)
    keep[top[own[(pixels[own] == place[top[own], :2]).all(axis=1)]]] = True
    own = np.sort(own[keep[top[own]]])
    pixels, top = pixels[own], (np.cumsum(keep) - 1)[top[own]]
    radius = np.sqrt(np.bincount(top, minlength=int(keep.sum())) / np.pi)
    return Tops(owner[keep], owner[keep], place[keep], share[keep], radius, pixels, top)


def pair_features(
    background: Background,
    found: Segmentation,
    features: np.ndarray,
    sun_azimuth_deg: np.ndarray,
    tops: Tops,
    *,
    dark: bool,
) -> np.ndarray:
    """What is known of tops and the higher ones beside them together.

    Parameters
    ----------
    background, found : Background, Segmentation
        The levelled frame and its objects.
    features : numpy.ndarray
        (n, len(FEATURES)) float32, from `describe`.
    sun_azimuth_deg : numpy.ndarray
        (n,) as for `describe`.
    tops : Tops
        From `neighbours` or `second_tops`.
    dark : bool
        The objects are darker than their surroundings.

    Returns
    -------
    numpy.ndarray
        (m, len(PAIR_FEATURES)) float32.
    """
    from brightspot._kernels import pairs as kernels

    b = background
    seen = np.empty((len(tops.own), 8), np.float32)
    kernels.look_between(b.ratio, b.smooth, -1 if dark else 1, np.float32(SHARPENING), tops.place, seen)
    one, other, lowest, sharp, other_sharp, lowest_sharp, sharpness, second_pixel = seen.T
    dy, dx = (tops.place[:, :2] - tops.place[:, 2:]).T
    distance = np.hypot(dy, dx)
    azimuth = np.radians(sun_azimuth_deg[tops.higher])
    other_radius = np.sqrt(found.n_pixels[tops.higher] / np.pi)
    texture = b.at(b.rms, tops.place[:, 1], tops.place[:, 0])
    known = {
        "saddle": tops.saddle,
        "lowest": lowest / np.minimum(one, other),
        "lowest_sharp": lowest_sharp / np.minimum(sharp, other_sharp),
        "depth_sharp": (np.minimum(sharp, other_sharp) - lowest_sharp) / texture,
        "radius": tops.radius,
        "other_radius": other_radius,
        "distance": distance,
        "share": one / other,
        "height": one,
        "sharpness": sharpness,
        "second_pixel": second_pixel,
        "along_sun": np.abs(dx * np.sin(azimuth) - dy * np.cos(azimuth)) / distance,
        "tops": np.bincount(tops.higher, minlength=len(found.peak))[tops.higher],
    }
    for name in PAIR_FEATURES:
        if name not in known:
            whole = name.removeprefix("other_")
            rows = tops.own if whole == name else tops.higher
            known[name] = features[rows, FEATURES.index(whole)]
    return np.column_stack([known[name] for name in PAIR_FEATURES]).astype(np.float32)


def pair_patches(background: Background, tops: Tops, *, dark: bool) -> np.ndarray:
    """The levelled picture around tops and the higher ones beside them, in heights of the lower one.

    Parameters
    ----------
    background : Background
        The levelled frame.
    tops : Tops
        From `neighbours` or `second_tops`.
    dark : bool
        The objects are darker than their surroundings.

    Returns
    -------
    numpy.ndarray
        (m, 17, 33) float32: rows along the line from top to top, as wide in all as 33/12 of the way between
        them; 0 outside of the picture.
    """
    from brightspot._kernels import pairs as kernels

    b = background
    size = 2 * kernels.ASIDE + 1, kernels.GAP + 2 * kernels.BEYOND + 1
    patches = np.empty((len(tops.own), *size), np.float32)
    kernels.cut_pairs(b.ratio, b.smooth, -1 if dark else 1, tops.place, patches)
    return patches


def part(
    background: Background,
    found: Segmentation,
    features: np.ndarray,
    tops: Tops,
    two: np.ndarray,
    *,
    dark: bool,
) -> tuple[Segmentation, np.ndarray]:
    """Second tops as objects of their own.

    Parameters
    ----------
    background, found : Background, Segmentation
        The levelled frame and its objects.
    features : numpy.ndarray
        (n, len(FEATURES)) float32.
    tops : Tops
        From `second_tops`.
    two : numpy.ndarray
        (m,) bool, which of them are places of their own.
    dark : bool
        The objects are darker than their surroundings.

    Returns
    -------
    tuple
        Segmentation and features, with a row per new object after the others. What objects are in
        themselves is measured anew, what surrounds them is that of the whole.
    """
    from brightspot._kernels import shading as kernels

    if not two.any():
        return found, features
    n, sign, b = len(found.peak), -1 if dark else 1, background
    owner, place = tops.own[two], tops.place[two, :2]
    number = np.zeros(len(two), np.int32)
    number[two] = n + 1 + np.arange(len(owner))
    mine = two[tops.top]
    (y, x), own = tops.pixels[mine].T, number[tops.top[mine]]
    labels = found.labels.copy()
    labels[y, x] = own
    # The windows they were found in; the objects' own boxes follow below.
    last = np.array(labels.shape) - 1
    window = np.clip(found.box[owner] + np.repeat([-MARGIN, MARGIN], 2), 0, np.tile(last, 2))
    peak = np.concatenate([found.peak, sign * b.smooth[place[:, 0], place[:, 1]]])
    saddle = np.concatenate([found.saddle, tops.saddle[two] * peak[n:]]).astype(np.float32)
    np.maximum.at(saddle, owner, saddle[n:])
    parted = Segmentation(
        labels,
        peak,
        np.concatenate([found.peak_yx, place]),
        saddle,
        np.concatenate([found.box, window]).astype(np.int32),
        np.concatenate([found.n_pixels, np.bincount(own - 1, minlength=len(peak))[n:]]).astype(np.int32),
        np.concatenate([found.neighbour, owner]).astype(np.int32),
    )
    changed = np.concatenate([np.unique(owner), np.arange(n, len(peak))])
    s = without_detached(parted, changed)
    anew = np.empty((len(changed), features.shape[1]), np.float32)
    kernels.describe_objects(
        b.ratio, b.smooth, s.labels, sign, s.peak, s.peak_yx, s.saddle, s.box, s.n_pixels, s.neighbour,
        b.rms, np.zeros_like(b.rms), np.full(len(s.peak), np.nan, np.float32), b.step, b.y0, b.x0,
        changed, anew,
    )  # fmt: skip
    features = np.concatenate([features, features[owner]])
    columns = np.array([FEATURES.index(name) for name in OWN_FEATURES])
    features[changed[:, None], columns] = anew[:, columns]
    return s, features


def merge_pieces(
    found: Segmentation, whole: np.ndarray, smooth: np.ndarray, *, dark: bool = False
) -> tuple[Segmentation, np.ndarray]:
    """Join what belongs to one deposit, once it is known what is albedo.

    Before that, a spot must not be swallowed by the crater wall beside it, so peaks are kept apart at
    shallow saddles.

    Parameters
    ----------
    found : Segmentation
        The objects.
    whole : numpy.ndarray
        (n,) int, the higher object that each is a piece of; -1 for none.
    smooth : numpy.ndarray
        (rows, columns) float32, the smoothed levelled image.
    dark : bool
        The objects are darker than their surroundings.

    Returns
    -------
    tuple
        Segmentation with the joined footprints, above half of the highest peak and under its number, what
        was beside a piece beside the whole; and (n,) the index of the object that each one belongs to now.
    """
    partner, joins = found.neighbour, whole >= 0
    root = np.where(joins, whole, np.arange(len(found.peak)))
    if not joins.any():
        return found, root
    while np.any(root[root] != root):  # the whole is always the higher one, so this ends
        root = root[root]
    apart = (partner >= 0) & (root != root[np.maximum(partner, 0)])
    saddle = np.zeros_like(found.saddle)
    np.maximum.at(saddle, root[apart], found.saddle[apart])
    np.maximum.at(saddle, root[partner[apart]], found.saddle[apart])
    box, pixels = found.box.copy(), found.n_pixels.copy()
    np.minimum.at(box[:, 0], root, found.box[:, 0])
    np.minimum.at(box[:, 1], root, found.box[:, 1])
    np.maximum.at(box[:, 2], root, found.box[:, 2])
    np.maximum.at(box[:, 3], root, found.box[:, 3])
    labels, joined = found.labels.copy(), np.concatenate([[0], root + 1]).astype(np.int32)
    sign = -1.0 if dark else 1.0
    for o in np.unique(root[joins]):
        window = np.s_[box[o, 0] : box[o, 2] + 1, box[o, 1] : box[o, 3] + 1]
        own = joined[found.labels[window]] == o + 1
        high = own & (sign * smooth[window] >= FOOTPRINT_SHARE * found.peak[o])
        labels[window][own] = 0
        labels[window][high] = o + 1
        y, x = np.nonzero(high)
        pixels[o] = len(y)
        box[o] = box[o, 0] + y.min(), box[o, 1] + x.min(), box[o, 0] + y.max(), box[o, 1] + x.max()
    met = np.where(partner >= 0, root[np.maximum(partner, 0)], -1)
    met[met == np.arange(len(met))] = -1
    found = found._replace(labels=labels, saddle=saddle, box=box, n_pixels=pixels, neighbour=met)
    return found, root
