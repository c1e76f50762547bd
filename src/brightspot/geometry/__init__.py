"""Where each pixel is on Ceres and how it is lit."""

from brightspot.geometry.picture import (
    MINIMUM_SCORE,
    OrientationCheck,
    SunFit,
    check_orientation,
    fit_sun,
    from_limb,
)
from brightspot.geometry.pointing import PointingShift, refine_pointing
from brightspot.geometry.sources import et_from_utc, from_label, from_spice, from_vectors
from brightspot.geometry.view import BACKPLANES, Backplanes, DiskMesh, Ground, ViewingGeometry

__all__ = [
    "BACKPLANES",
    "MINIMUM_SCORE",
    "Backplanes",
    "DiskMesh",
    "Ground",
    "OrientationCheck",
    "PointingShift",
    "SunFit",
    "ViewingGeometry",
    "check_orientation",
    "et_from_utc",
    "fit_sun",
    "from_label",
    "from_limb",
    "from_spice",
    "from_vectors",
    "refine_pointing",
]
