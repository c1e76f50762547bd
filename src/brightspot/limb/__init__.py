"""Fit Ceres' figure to the lit limb: centre and kilometres per pixel where no label tells them.

A spheroid seen from afar is an ellipse whose semi-major axis is the equatorial radius and whose
axis ratio lies between c/a (seen from the equator) and 1 (seen from a pole). Only the limb that
the Sun lights is a step from sky to surface; the terminator is a gradual fall on the other side.
"""

from brightspot.limb.fit import LimbFit, fit_limb

__all__ = ["LimbFit", "fit_limb"]
