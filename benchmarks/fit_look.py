"""Train the networks that look at candidates' surroundings and at pairs; called by ``fit_judge.py``.

Needs jax and optax (extra ``fit``).
"""

from __future__ import annotations

import numpy as np

from brightspot.judge import scaled

MAPS = (16, 24, 32)
"""Channels of the three convolutions, 5 x 5 and twice 3 x 3, each at every second row and column."""

HIDDEN = (48, 64, 32)
EPOCHS = 20
BATCH = 512
RATE = 3e-3
EPOCHS_ON, RATE_ON = 5, 4e-4
"""The same where a network is fitted on from weights that it has."""

UNTOLD = 0.25
"""Share of the examples that are shown with less told of them, where there is less to tell: a network that
always knows the angles takes what no slope does under the renderer's disk function for proof, and other
ground has another."""

DECAY = 1e-2
KEPT = 0.7
"""Share of the values between convolutions and matrices that a step of the training keeps."""


def first_weights(rng: np.random.Generator, size: tuple[int, int], told: int) -> dict[str, np.ndarray]:
    """Weights before training, ``k`` convolutions, ``m`` matrices, ``b`` and ``c`` biases.

    ``size`` of the patches, ``told`` so many numbers beside each.
    """

    def drawn(*shape: int) -> np.ndarray:
        return rng.normal(0.0, np.sqrt(2.0 / np.prod(shape[:-1])), shape).astype(np.float32)

    rows, columns = size
    for _ in MAPS:
        rows, columns = (rows + 1) // 2, (columns + 1) // 2
    sizes = {"k1": (5, 5, 1, MAPS[0]), "k2": (3, 3, *MAPS[:2]), "k3": (3, 3, *MAPS[1:])}
    sizes |= {"m1": (rows * columns * MAPS[2], HIDDEN[0]), "m2": (HIDDEN[0] + told, HIDDEN[1])}
    sizes |= {"m3": HIDDEN[1:]}
    weights = {name: drawn(*shape) for name, shape in sizes.items()}
    for name, shape in sizes.items():
        weights[name.replace("k", "b").replace("m", "c")] = np.zeros(shape[-1], np.float32)
    return weights | {"last": 0.1 * drawn(HIDDEN[2], 1)[:, 0], "base": np.zeros(1, np.float32)}


def scales(told: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column, as the network takes them."""
    return np.nanmean(told, axis=0).astype(np.float32), (np.nanstd(told, axis=0) + 1e-6).astype(np.float32)


def log_odds(weights, patches, told, kept=None):
    """The network; ``kept`` (n, values after the convolutions) drops some of them while it is trained."""
    import jax
    import jax.numpy as jnp

    maps = patches[..., None]
    for n in "123":
        maps = jax.lax.conv_general_dilated(
            maps, weights["k" + n], (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        maps = jax.nn.relu(maps + weights["b" + n])
    values = maps.reshape(len(maps), -1)
    if kept is not None:
        values = values * kept
    values = jnp.concatenate([jax.nn.relu(values @ weights["m1"] + weights["c1"]), told], axis=1)
    for n in "23":
        values = jax.nn.relu(values @ weights["m" + n] + weights["c" + n])
    return values @ weights["last"] + weights["base"][0]


def train(
    patches: np.ndarray,
    told: np.ndarray,
    label: np.ndarray,
    weight: np.ndarray,
    mirrored: tuple[int, ...],
    *,
    less: np.ndarray | None = None,
    start: dict[str, np.ndarray] | None = None,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Weights of a network, float16, with the scales of ``told`` (n, m); patches (n, rows, columns).

    Patches are ``mirrored`` at random along these axes: how they lie says nothing. ``less`` (n, m) is told
    instead of some examples' ``told``; ``start`` is what `train` gave before, to go on from.
    """
    import jax
    import optax

    rng = np.random.default_rng(seed)
    if start is None:
        middle, spread = scales(told)
        weights = first_weights(rng, patches.shape[1:], told.shape[1])
        epochs, rate = EPOCHS, RATE
    else:
        weights = {name: array.astype(np.float32) for name, array in start.items()}
        middle, spread = weights.pop("middle"), weights.pop("spread")
        epochs, rate = EPOCHS_ON, RATE_ON
    told = scaled(told, middle, spread)
    less = told if less is None else scaled(less, middle, spread)
    batch_size = min(BATCH, len(label))
    steps = len(label) // batch_size
    adam = optax.adamw(optax.cosine_decay_schedule(rate, steps * epochs), weight_decay=DECAY)
    state = adam.init(weights)

    def loss(weights, patches, told, label, weight, kept):
        each = optax.sigmoid_binary_cross_entropy(log_odds(weights, patches, told, kept), label)
        return (each * weight).mean()

    @jax.jit
    def step(weights, state, *batch):
        change, state = adam.update(jax.grad(loss)(weights, *batch), state, weights)
        return optax.apply_updates(weights, change), state

    values = weights["m1"].shape[0]
    for epoch in range(epochs):
        order = rng.permutation(len(label))
        for n in range(steps):
            rows = order[n * batch_size : (n + 1) * batch_size]
            seen = patches[rows].astype(np.float32)
            for axis in mirrored:
                if rng.random() < 0.5:
                    seen = np.flip(seen, axis)
            kept = (rng.random((batch_size, values), np.float32) < KEPT).astype(np.float32) / np.float32(KEPT)
            known = np.where(rng.random((batch_size, 1)) < UNTOLD, less[rows], told[rows])
            batch = seen, known, label[rows].astype(np.float32), weight[rows].astype(np.float32), kept
            weights, state = step(weights, state, *batch)
        print(f"epoch {epoch + 1} of {epochs}", flush=True)
    out = {name: np.asarray(array).astype(np.float16) for name, array in weights.items()}
    return out | {"middle": middle, "spread": spread}


def apply(
    weights: dict[str, np.ndarray], patches: np.ndarray, told: np.ndarray, mirrored: tuple[int, ...]
) -> np.ndarray:
    """Log-odds (n,) of patches and what is told of each, from what `train` gives.

    The mean of a patch and of the same mirrored along all of the axes, as in use.
    """
    import jax

    arrays = {name: array.astype(np.float32) for name, array in weights.items()}
    told = scaled(told, arrays.pop("middle"), arrays.pop("spread"))
    judge = jax.jit(log_odds)
    parts = [np.empty(0)]
    for n in range(0, len(told), 2000):
        batch, known = patches[n : n + 2000].astype(np.float32), told[n : n + 2000]
        turned = judge(arrays, np.flip(batch, mirrored), known)
        parts.append(0.5 * (np.asarray(judge(arrays, batch, known)) + np.asarray(turned)))
    return np.concatenate(parts)
