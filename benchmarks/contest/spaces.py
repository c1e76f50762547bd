"""Bounds of a random search."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Log(NamedTuple):
    """Log-uniform between two bounds."""

    low: float
    high: float


class Linear(NamedTuple):
    """Uniform between two bounds."""

    low: float
    high: float


def draw(space: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Settings drawn from a space."""
    return {name: draw_one(choice, rng) for name, choice in space.items()}


def draw_one(choice: Any, rng: np.random.Generator) -> Any:
    """One setting: of bounds with four digits, of choices one of them."""
    if isinstance(choice, Log):
        return float(f"{np.exp(rng.uniform(np.log(choice.low), np.log(choice.high))):.4g}")
    if isinstance(choice, Linear):
        return float(f"{rng.uniform(choice.low, choice.high):.4g}")
    return choice[int(rng.integers(len(choice)))]


RANDOM_SHARE = 0.6
"""Share of the trials drawn at random; the rest change the best so far in one or two settings."""


def try_next(best: dict[str, Any], space: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Settings to try after ``best["trials"]`` trials."""
    if best["trials"] < 5 or "settings" not in best or rng.random() < RANDOM_SHARE:
        return draw(space, rng)
    return near(best["settings"], space, rng)


def near(settings: dict[str, Any], space: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Settings with one or two of them changed: bounds by up to a sixth of their range, choices anew."""
    out = dict(settings)
    for name in rng.choice(list(space), size=min(int(rng.integers(1, 3)), len(space)), replace=False):
        choice = space[name]
        if isinstance(choice, Log | Linear):
            low, high = np.log(choice) if isinstance(choice, Log) else choice
            here = np.log(out[name]) if isinstance(choice, Log) else out[name]
            moved = float(np.clip(here + rng.uniform(-1, 1) * (high - low) / 6, low, high))
            out[name] = float(f"{np.exp(moved) if isinstance(choice, Log) else moved:.4g}")
        else:
            out[name] = draw_one(choice, rng)
    return out
