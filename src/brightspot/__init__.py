"""brightspot: albedo outliers on Ceres, in kilometres."""

from brightspot._version import __version__

__all__ = ["__version__"]
