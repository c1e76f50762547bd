"""Pictures of frames and of what was found in them.

`show` and `show_panels` draw a frame or a detection on matplotlib axes, `show_montage` the spots of many;
`show_map` and `show_sizes` draw a table of detections. `save_overlay` writes the picture of one detection to
a file without matplotlib, fast enough for every frame of a batch and safe in threads and worker processes.

Colours are those of Okabe and Ito, which people with colour-vision deficiencies can tell apart
(https://jfly.uni-koeln.de/color/), and lighter tones of them.
"""

from brightspot.figure.axes import PANELS, panels_size, show, show_panels
from brightspot.figure.grey import STRETCHES, display_grey, lit_box
from brightspot.figure.maps import PROJECTIONS, map_figure, show_map
from brightspot.figure.marks import (
    BRIGHT,
    CONFIDENT,
    DARK,
    DOUBTFUL,
    INK,
    PALE_BRIGHT,
    PALE_DARK,
    SURE,
    arrow_directions,
    graticule,
    outline_segments,
    round_length,
    scale_text,
    title,
)
from brightspot.figure.montage import montage_size, show_montage
from brightspot.figure.overlay import paint_overlay, save_figure, save_overlay
from brightspot.figure.sizes import DIAMETERS, show_sizes

__all__ = [
    "BRIGHT",
    "CONFIDENT",
    "DARK",
    "DIAMETERS",
    "DOUBTFUL",
    "INK",
    "PALE_BRIGHT",
    "PALE_DARK",
    "PANELS",
    "PROJECTIONS",
    "STRETCHES",
    "SURE",
    "arrow_directions",
    "display_grey",
    "graticule",
    "lit_box",
    "map_figure",
    "montage_size",
    "outline_segments",
    "paint_overlay",
    "panels_size",
    "round_length",
    "save_figure",
    "save_overlay",
    "scale_text",
    "show",
    "show_map",
    "show_montage",
    "show_panels",
    "show_sizes",
    "title",
]
