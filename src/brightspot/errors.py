"""The errors brightspot raises: each message names the input, what is wrong and what to do."""

from __future__ import annotations


class BrightspotError(Exception):
    """Anything brightspot can explain in one line; the base of its own errors."""


class ReadError(BrightspotError):
    """A file cannot be turned into a frame."""


class GeometryError(BrightspotError):
    """A viewing geometry is missing, contradictory or impossible."""


class ScaleError(BrightspotError):
    """No kilometres per pixel can be had, or the ones at hand are impossible."""


class UsageError(BrightspotError):
    """A setting or option is out of range or contradicts another one."""


class NothingLit(BrightspotError):
    """No sunlit surface in an image."""
