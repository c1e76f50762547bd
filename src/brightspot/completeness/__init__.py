"""How much of what is there the finder reports: spots of known size and contrast put into real frames.

``brightspot.completeness(images)`` and ``brightspot completeness`` on the command line. What comes out holds
for ground like that of the frames given and for spots that are discs: recovery, position error and biases
against size, contrast and incidence, and how often the finder adds something of its own accord.
"""

import sys
from types import ModuleType
from typing import Any

from brightspot.completeness.injection import Light, Spot, inject, measure_light
from brightspot.completeness.plan import Plan
from brightspot.completeness.recovery import clean, recover
from brightspot.completeness.run import (
    Completeness,
    completeness,
    completeness_folder,
    false_alarm_line,
)
from brightspot.completeness.tables import (
    FRAME_COLUMNS,
    RECOVERY_COLUMNS,
    SPOT_COLUMNS,
    smallest_diameter,
    wilson_interval,
)

__all__ = [
    "FRAME_COLUMNS",
    "RECOVERY_COLUMNS",
    "SPOT_COLUMNS",
    "Completeness",
    "Light",
    "Plan",
    "Spot",
    "clean",
    "completeness",
    "completeness_folder",
    "false_alarm_line",
    "inject",
    "measure_light",
    "recover",
    "smallest_diameter",
    "wilson_interval",
]


class _Callable(ModuleType):
    """Python binds a submodule to its name in the package: so the submodule answers for the function."""

    def __call__(self, *args: Any, **kwargs: Any) -> Completeness:
        """See `completeness`."""
        return completeness(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable
