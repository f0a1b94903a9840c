# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small pairs that were never seen by a camera, for tests of memories of pairs."""

from __future__ import annotations

import cv2
import numpy as np

from monother_ros.learning.online_pair import OnlinePair, RigView

SIZE = (80, 64)


def make_rig(shift=0.0, size=SIZE):
    """Two pinhole cameras side by side."""
    width, height = size
    k = np.array([[65, 0, width / 2], [0, 65, height / 2], [0, 0, 1]], np.float32)
    pose = np.eye(4, dtype=np.float32)
    pose[0, 3] = 0.1 + shift
    return RigView.from_dict(
        {
            'size': np.array(size),
            'thermal_intrinsics': k,
            'rgb_intrinsics': k,
            'extrinsics': pose,
            'focal_scale': np.array([1.0]),
        }
    )


def make_pair(view, *, noise=0, stamp=None, rig=None, weight=False, size=SIZE):
    """A pair that shows view number `view`, with a little noise of number `noise`."""
    rng = np.random.default_rng([view, 5])
    grain = np.random.default_rng([view, noise, 6])
    blobs = rng.random((3, 4, 5)).astype(np.float32)
    thermal, grey, depth = (cv2.resize(b, size, interpolation=cv2.INTER_CUBIC) for b in blobs)
    thermal = thermal + 0.02 * grain.standard_normal(thermal.shape)
    rgb = np.clip(grey * 200 + 3 * grain.standard_normal((3, *grey.shape)), 0, 255)
    depth = np.exp(1.0 + 2.0 * depth)
    depth[:5] = 0.0
    return OnlinePair(
        stamp_ns=(view if stamp is None else stamp) * 10**8,
        thermal=((thermal[None] - 0.5) / 0.25).astype(np.float16),
        rgb=rgb.astype(np.uint8),
        teacher_depth=depth.astype(np.float16),
        rig=rig or make_rig(size=size),
        weight=np.abs(thermal).astype(np.float16) if weight else None,
    )
