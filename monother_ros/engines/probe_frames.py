# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Network inputs made for a bundle, to compare engines where it has no stored frames.

They look like thermal images to a network: a gradient from ground to sky, warm and cold things
with edges, fine texture and noise, at several gains. The same bundle gives the same frames on
every machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monother_ros.core.bundle import Bundle

GAINS = (1.0, 0.6, 0.3, 0.1)
"""Share of the range of the input that a frame fills: noon, dusk, night, fog."""


def probe_inputs(bundle: Bundle) -> list[NDArray[Any]]:
    """
    Inputs for the first input of a bundle.

    :param bundle: its shape and normalisation are used.
    :returns: one (1, C, H, W) float32 per gain, normalised as images are, clipped as they are.
    """
    _, channels, height, width = bundle.inputs[0].shape
    how = bundle.normalisation
    frames = []
    for k, gain in enumerate(GAINS):
        plain = scene(height, width, np.random.default_rng(1000 + k))
        image = np.clip(0.5 + gain * (plain - 0.5), 0.0, 1.0)
        planes = np.repeat(image[None, None], channels, axis=1)
        frames.append(((planes - how.mean) / how.std).astype(np.float32))
    return frames


def scene(height: int, width: int, rng: np.random.Generator) -> NDArray[Any]:
    """
    One image.

    :param height: in pixels.
    :param width: in pixels.
    :param rng: source of what is in it.
    :returns: (H, W), most of it in [0, 1].
    """
    rows = np.linspace(0.0, 1.0, height)[:, None]
    columns = np.linspace(0.0, 1.0, width)[None, :]
    horizon = rng.uniform(0.35, 0.55)
    image = np.where(rows < horizon, 0.15 + 0.1 * rows, 0.35 + 0.3 * (rows - horizon))
    image = np.broadcast_to(image, (height, width)).copy()
    for _ in range(14):
        top, left = rng.uniform(0.2, 0.8), rng.uniform(0.0, 0.9)
        tall, wide = rng.uniform(0.05, 0.3), rng.uniform(0.02, 0.2)
        inside = (abs(rows - top) < tall / 2) & (columns >= left) & (columns < left + wide)
        image[inside] = rng.uniform(0.2, 0.95)
    coarse = rng.normal(0.0, 1.0, (max(height // 8, 1), max(width // 8, 1)))
    texture = np.kron(coarse, np.ones((8, 8)))[:height, :width]
    image[: texture.shape[0], : texture.shape[1]] += 0.03 * texture
    return np.asarray(image + rng.normal(0.0, 0.01, image.shape))
