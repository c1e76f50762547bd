"""Many images, one results folder: nothing finished is lost, one bad file never stops the rest.

Workers read, detect, measure and draw; one writer, this process, commits each finished input to the journal.
The tables are written from the journal at the end. The same command again does only what is missing.
"""

from brightspot.batch.merge import MergeSummary, merge_folders
from brightspot.batch.plan import no_images
from brightspot.batch.run import detect_folder
from brightspot.batch.state import RunState, RunSummary
from brightspot.batch.work import (
    FrameResult,
    Job,
    made_up_frame,
    process_frame,
    process_input,
    warm_kernels,
)

__all__ = [
    "FrameResult",
    "Job",
    "MergeSummary",
    "RunState",
    "RunSummary",
    "detect_folder",
    "made_up_frame",
    "merge_folders",
    "no_images",
    "process_frame",
    "process_input",
    "warm_kernels",
]
