"""Before a run: what is to be done with which settings, and whether its folder may take it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from brightspot.batch.pool import LEAST_MEMORY_GIB
from brightspot.batch.remote import find_remote, is_url
from brightspot.batch.work import Job, Task
from brightspot.errors import UsageError
from brightspot.journal import holds_results, open_results
from brightspot.readers import Input, find_inputs
from brightspot.scale import positive
from brightspot.writers import json_text


def no_images(given: Iterable[str | os.PathLike[str]]) -> str:
    """One line for a run that found nothing to do."""
    places = ", ".join(str(place) for place in given) or "nothing"
    return (
        f"no images found in {places}: brightspot reads PDS3 .IMG and .LBL, FITS, PDS4 .xml, "
        "PNG, JPEG, TIFF and GIF"
    )


def check_options(
    jobs: int | None,
    timeout_s: float | None,
    memory_gb: float | None,
    shard: tuple[int, int] | None,
    scheduler: str | None,
) -> None:
    """Refuse options of a run out of range, or that contradict each other; for others see `check_told`."""
    if timeout_s is not None:
        positive(timeout_s, "timeout", "seconds")
    if memory_gb is not None and positive(memory_gb, "memory", "GiB") < LEAST_MEMORY_GIB:
        raise UsageError(
            f"memory {memory_gb:g} GiB is less than a worker fills before it reads a pixel: give "
            f"{LEAST_MEMORY_GIB:g} or more"
        )
    if shard is not None and not 1 <= shard[0] <= shard[1]:
        raise UsageError(f"shard {shard[0]}/{shard[1]}: give a part I/N with I from 1 to N")
    if scheduler is not None and (jobs, timeout_s, memory_gb) != (None, None, None):
        raise UsageError(
            "--jobs, --timeout and --memory-gb are for workers on this machine: those of a Dask cluster are "
            "set where it is started"
        )


def available_cores() -> int:
    """Cores this process may use: as its affinity and its control group allow."""
    if hasattr(os, "process_cpu_count"):  # Python 3.13
        cores = os.process_cpu_count() or 1
    elif hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            cores = min(cores, max(1, round(int(quota) / int(period))))
    return cores


def find_tasks(given: list[str]) -> Iterator[Task]:
    """Every input of paths and URLs, one folder in memory at a time."""
    urls = [place for place in given if is_url(place) and not os.path.lexists(place)]
    local = [place for place in given if place not in urls]
    if local:
        for item in find_inputs(local):
            # Workers elsewhere need not be where this process is.
            files = tuple(path.absolute() for path in item.files)
            yield Task(replace(item, path=item.path.absolute(), files=files), (), stamp_of(item))
    for url in urls:
        prefix = "" if len(given) == 1 else url.partition("://")[2].rstrip("/").rpartition("/")[0] + "/"
        if len(given) > 1 and not Path(url).suffix and "*" not in url:
            prefix = url.partition("://")[2].rstrip("/") + "/"
        for remote in find_remote(url, prefix):
            yield Task(remote.item, remote.urls, remote.stamp)


def stamp_of(item: Input) -> str:
    """Sizes and times of an input's files: while they are equal nothing was written to them."""
    parts = [f"{item.reader}:{item.problem}"]
    for path in item.files:
        try:
            facts = path.stat()
        except OSError:
            return ""
        parts.append(f"{storable(path.name)}:{facts.st_size}:{facts.st_mtime_ns}:{facts.st_ctime_ns}")
    return ";".join(parts) if item.files else ""


def in_shard(name: str, shard: tuple[int, int] | None) -> bool:
    """Whether an input belongs to a part: by a hash of its name, the same on every machine."""
    if shard is None:
        return True
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") % shard[1] == shard[0] - 1


def settings_of(job: Job) -> dict[str, Any]:
    """Everything that can change a result, in a form that JSON keeps exactly."""
    kernels = []
    for kernel in job.kernels:
        with Path(kernel).open("rb") as file:
            kernels.append([Path(kernel).name, hashlib.file_digest(file, "sha256").hexdigest()])
    return {
        **asdict(job.finder),
        "scale_km": job.scale_km,
        "altitude_km": job.altitude_km,
        "kernels": kernels,
        "overlays": job.overlays is not None,
    }


def settings_hash(settings: dict[str, Any]) -> str:
    """Short hash of settings."""
    return hashlib.sha256(json_text(settings, indent=None).encode()).hexdigest()[:16]


def check_same(out: Path, settings: dict[str, Any], places: list[str]) -> None:
    """Refuse to mix the results of different settings or images in one folder, before it is written to."""
    if not holds_results(out):
        return
    with open_results(out) as results:
        before, given = results.note("settings"), results.note("given") or ()
    if before is not None and before != settings:
        changed = [name for name in settings if before.get(name, "nothing") != settings[name]]
        told = ", ".join(f"{name} was {before.get(name)}, is {settings[name]}" for name in changed)
        raise UsageError(
            f"{out} holds results of other settings ({told[:300]}): choose another folder, "
            "or replace them with --force"
        )
    missing = [place for place in given if place not in places]
    if missing:
        raise UsageError(
            f"{out} holds results of other images ({missing[0]}): give these too, choose another "
            "folder, or replace them with --force"
        )


def check_place(given: list[str], out: Path) -> None:
    """Refuse results among the images: a folder that holds results is not searched again."""
    if not out.is_dir() or (out / "run.json").exists():
        return
    place = out.resolve()
    for path in given:
        if is_url(path):
            continue
        is_folder = Path(path).is_dir()
        anchor = Path(path).resolve() if is_folder else Path(path).parent.resolve()
        if place != anchor and not (is_folder and anchor in place.parents):
            continue
        first = next(find_inputs([out]), None)  # a folder's own images come before those of its subfolders
        if first is not None and first.path.parent.resolve() == place:
            raise UsageError(f"{out} is a folder of the images: choose another folder for the results")


def source_of(task: Task) -> str:
    """Where an input was read from."""
    if task.urls:
        return task.urls[0]
    if not task.item.path.is_absolute():  # behind a URL, and not even to be opened there
        return task.item.name
    return storable(str(task.item.path))


def storable(text: str) -> str:
    """Text that a journal takes: a file's name need not be UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
