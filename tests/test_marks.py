"""Real pictures against what a person sees in them (tests/marks.csv)."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import real_marks

# picture: wanted marks missed at most, false detections in one frame at most (bright and dark together).
# The state of today, not the goal: that is none missed, 2 false in frames 051 to 091, 5 at Ahuna Mons.
STATE = {
    "ceres_rotation.gif": (0, 2),
    "ahuna_mons.jpg": (0, 2),
    "occator_oblique.jpg": (0, 2),
    "PIA19562_rc3_full_disk.jpg": (0, 1),
    "ceres_fc_001.jpg": (0, 2),
    "ceres_fc_007.jpg": (0, 0),
    "ceres_fc_013.jpg": (0, 0),
    "ceres_fc_019.jpg": (0, 0),
    "ceres_fc_025.jpg": (0, 2),
    "ceres_fc_031.jpg": (0, 1),
    "ceres_fc_051.jpg": (0, 2),
    "ceres_fc_059.jpg": (0, 0),
    "ceres_fc_067.jpg": (0, 0),
    "ceres_fc_075.jpg": (0, 1),
    "ceres_fc_083.jpg": (0, 1),
    "ceres_fc_091.jpg": (0, 1),
}

pictures = pytest.mark.skipif(not real_marks.PICTURES.is_dir(), reason="the real pictures are not here")


def test_every_marked_picture_has_a_line_in_the_table_and_every_mark_a_verdict():
    marks = real_marks.read_marks()
    assert set(marks["picture"]) == set(STATE)
    assert set(marks["verdict"]) <= {"spot", "doubt", "slope", "artefact"}
    assert set(marks["wanted"]) == {"yes", "no"}
    assert (marks.loc[marks["wanted"] == "yes", "verdict"] == "spot").all()
    assert (marks["radius"] > 0).all()


def test_a_detection_belongs_to_the_circle_it_lies_deepest_in():
    marks = pd.DataFrame(
        {
            "x": [10.0, 13.0, 50.0],
            "y": [10.0, 10.0, 50.0],
            "radius": [4.0, 20.0, 3.0],
            "polarity": ["bright", "bright", "dark"],
        }
    )
    catalog = pd.DataFrame(
        {
            "x_centroid": [11.0, 17.0, 50.0, 90.0],
            "y_centroid": [10.0, 10.0, 50.0, 90.0],
            "polarity": ["bright"] * 4,
        }
    )
    found, on = real_marks.match(marks, catalog)
    np.testing.assert_array_equal(on, [1, 1, -1, -1])  # 1/6 of the small radius, 2/22 of the large one
    np.testing.assert_array_equal(found, [True, True, False])


@pictures
@pytest.mark.parametrize("picture", STATE)
def test_wanted_marks_are_found_and_few_others_are(picture):
    seen = list(real_marks.look(only=(picture,)))
    assert seen
    counts = real_marks.table(seen)
    print(counts.to_string(index=False))
    most_missed, most_false = STATE[picture]
    assert counts["wanted"].sum() - counts["found"].sum() <= most_missed
    assert counts["false"].max() <= most_false
