# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs and a dual network small enough for tests, and a tree of files that holds such pairs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch

from monother_ros.learning.datasets import PairSample
from monother_ros.learning.objective import MS2_SUPERVISED
from monother_ros.learning.tasks.dual import DualTask
from monother_ros.learning.tasks.dual_batches import DualSettings
from monother_ros.networks.monother import MonoTherNetwork

SHAPE = {
    'embed': 32,
    'blocks': 4,
    'heads': 2,
    'features': 16,
    'projections': [8, 16, 16, 16],
    'bins': 16,
    'embedding': 16,
    'confidence_width': 4,
}
TINY = DualSettings(
    network=SHAPE, epochs=2, batch=4, losses=MS2_SUPERVISED, rate=1e-3, divisor=10, clip=1.0
)


@dataclass(frozen=True)
class TinyPairs:
    """Slopes seen by both cameras, a part of the labels missing; the same index, the same pair."""

    count: int = 12
    height: int = 56
    width: int = 84
    labels: bool = True

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> PairSample:
        rng = np.random.default_rng([9, index])
        h, w = self.height, self.width
        v, u = np.mgrid[0:h, 0:w].astype(np.float32) / 40
        depth = (4 + rng.uniform(0, 3) * v + rng.uniform(0, 3) * u)[None].astype(np.float32)
        noise = rng.random((4, h, w), dtype=np.float32) * 0.2
        image = np.concatenate([1 / depth, depth / 15, np.cos(depth), 2 / depth]) * 0.8 + noise
        image = np.clip(image, 0, 1).astype(np.float32)
        known = (depth * (rng.random((2, h, w)) < rng.uniform(0.2, 0.9))).astype(np.float32)
        matrix = np.array([[60, 0, w / 2], [0, 60, h / 2], [0, 0, 1]], np.float32)
        pose = np.eye(4, dtype=np.float32)
        pose[0, 3] = 0.1
        return PairSample(
            image[:1],
            image[1:],
            known[:1] if self.labels else None,
            known[1:] if self.labels else None,
            matrix,
            matrix.copy(),
            pose,
            f'tiny {index}',
        )


def tiny_task(
    pairs: TinyPairs | None = None, validation: TinyPairs | None = None, **changes: object
) -> DualTask:
    """Task with the first weights always the same."""
    settings = replace(TINY, **changes)
    torch.manual_seed(settings.seed)
    network = MonoTherNetwork(settings.config())
    return DualTask(pairs or TinyPairs(), settings, network, validation)


def write_vivid(root: Path, pairs: TinyPairs, validation: int = 2) -> None:
    """Write pairs in the layout of ViViD: the last ones are the validation drive."""
    for i in range(len(pairs)):
        pair, drive = pairs[i], root / ('night' if i >= len(pairs) - validation else 'day')
        for name in ('Thermal', 'RGB', 'Depth_T', 'Depth_RGB'):
            (drive / name).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(f'{drive}/Thermal/{i:06d}.png', (pair.thermal[0] * 16000).astype(np.uint16))
        bgr = (pair.rgb[::-1].transpose(1, 2, 0) * 255).astype(np.uint8)
        cv2.imwrite(f'{drive}/RGB/{i:06d}.png', bgr)
        np.save(drive / 'Depth_T' / f'{i:06d}.npy', pair.thermal_depth[0])
        np.save(drive / 'Depth_RGB' / f'{i:06d}.npy', pair.rgb_depth[0])
        np.savetxt(drive / 'cam_T.txt', pair.thermal_intrinsics)
        np.savetxt(drive / 'cam_RGB.txt', pair.rgb_intrinsics)
        np.savetxt(drive / 'Tr_T2RGB.txt', pair.extrinsics)
    (root / 'train_outdoor.txt').write_text('day\n')
    (root / 'val_outdoor.txt').write_text('night\n')


def vivid_recipe(root: Path) -> dict[str, object]:
    """A supervised recipe on such a tree."""
    data = {'kind': 'vivid', 'root': str(root), 'trim': False}
    return {
        'task': 'dual',
        'training': {
            'network': SHAPE,
            'size': [56, 84],
            'epochs': 2,
            'batch': 4,
            'losses': MS2_SUPERVISED.as_dict(),
            'rate': 1e-3,
            'divisor': 10,
            'clip': 1.0,
            'augment': 'vivid',
        },
        'data': {
            'training': {**data, 'split': 'train'},
            'validation': {**data, 'split': 'val'},
        },
        'run': {'device': 'cpu', 'threads': 1, 'log_every': 1},
    }
