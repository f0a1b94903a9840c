# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An engine that says fixed maps, for tests of the pipeline."""

from __future__ import annotations

import cv2
import numpy as np

from monother_ros.core.bundle import Bundle, Normalisation, TensorSpec
from monother_ros.core.camera import Intrinsics
from monother_ros.core.pipeline import (
    ThermalFrame,
    Wanted,
)

FRAME = 33_000_000
CAMERA = Intrinsics(64, 48, 50.0, 50.0, 31.5, 23.5, 'plumb_bob', (-0.2, 0.05, 0, 0))


class StubEngine:
    """Says a fixed depth and confidence map, or what a function makes of the input."""

    def __init__(self, tmp_path, depth=None, confidence=1.0, size=(32, 24), **fields):
        width, height = size
        self.bundle = Bundle(
            **{
                'path': tmp_path,
                'name': 'stub',
                'revision': 'r1',
                'parent': None,
                'modality': 'thermal',
                'inputs': (TensorSpec('thermal', (1, 1, height, width)),),
                'outputs': {'depth': 'depth', 'confidence': 'confidence'},
                'normalisation': Normalisation('percentile', 2, 98),
                'depth_range': (0.5, 80.0),
                'focal_length': None,
            }
            | fields
        )
        self.depth = depth if depth is not None else np.full((height, width), 10, np.float32)
        self.confidence = confidence
        self.inputs = []

    def infer(self, inputs):
        self.inputs.append({k: v.copy() for k, v in inputs.items()})
        outputs = {'depth': np.asarray(self.depth, np.float32)[None, None]}
        if self.confidence is not None:
            plane = np.broadcast_to(np.float32(self.confidence), self.depth.shape)
            outputs['confidence'] = np.ascontiguousarray(plane)[None, None]
        return outputs


_noise = np.random.default_rng(0)


def frame(number=0, intrinsics=CAMERA, shape=(48, 64), dtype=np.uint16):
    rng = np.random.default_rng(7)
    scene = 20000 + 3000 * cv2.resize(rng.uniform(0, 1, (6, 8)), shape[::-1], interpolation=0)
    noisy = scene + _noise.normal(0, 5, shape)
    if dtype == np.uint8:
        noisy = (noisy - 20000) / 12
    return ThermalFrame(np.clip(noisy, 0, 65535).astype(dtype), number * FRAME, 't', intrinsics)


EVERYTHING = Wanted(cloud=True, color=True)
