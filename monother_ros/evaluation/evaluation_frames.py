# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of the frames that the page of an evaluation shows, as many as fit."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np

from monother_ros.core.camera import Intrinsics
from monother_ros.evaluation import figures
from monother_ros.evaluation.evaluate.pictures import unpack
from monother_ros.evaluation.metrics import FAR, NEAR, clip_prediction, valid_mask
from monother_ros.evaluation.moments import FORWARD_LEFT_UP, moved, unprojected
from monother_ros.evaluation.page import Picture

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from monother_ros.evaluation.evaluate.pictures import Look
    from monother_ros.evaluation.evaluate.schema import ChosenFrame, Evaluation

ORDER = ('worst', 'best', 'median')
"""What is shown first where not everything fits: errors teach most."""

WIDTH = 480
"""Pixels of a map."""


@dataclass
class Section:
    """
    One frame on the page.

    :param frame: which one.
    :param common: thermal image and truth.
    :param models: label → depth, error, confidence and cloud.
    """

    frame: ChosenFrame
    common: list[Picture]
    models: dict[str, list[Picture]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes on the page."""
        every = [*self.common, *(p for group in self.models.values() for p in group)]
        return sum(len(p.url) + len(p.title) + len(p.alt) + 200 for p in every)


def frame_sections(
    evaluation: Evaluation, room: int, progress: Callable[[float], None] | None = None
) -> tuple[list[Section], int]:
    """
    Draw the chosen frames, as many as fit.

    :param evaluation: with its pictures; frames without are passed over.
    :param room: bytes that they may take.
    :param progress: called with the share that is done.
    :returns: sections in the order of the evaluation, and how many frames did not fit.
    """
    say = progress or (lambda share: None)
    ranks = {kind: k for k, kind in enumerate(ORDER)}
    places = {id(frame): k for k, frame in enumerate(evaluation.chosen)}
    wanted = [
        f for f in evaluation.chosen if any(k in evaluation.pictures for k in f.pictures.values())
    ]
    waiting = sorted(wanted, key=lambda f: (ranks.get(f.kind, len(ranks)), places[id(f)]))
    sections: list[Section] = []
    for k, frame in enumerate(waiting):
        section = _section(evaluation, frame, f'frame{k}')
        if section.size > room:
            break
        room -= section.size
        sections.append(section)
        say((k + 1) / len(waiting))
    left_out = len(waiting) - len(sections)
    return sorted(sections, key=lambda s: places[id(s.frame)]), left_out


def _section(evaluation: Evaluation, frame: ChosenFrame, name: str) -> Section:
    """All pictures of one frame."""
    looks = {
        label: unpack(evaluation.pictures[key])
        for label, key in frame.pictures.items()
        if key in evaluation.pictures
    }
    near = float(evaluation.settings.get('near', NEAR))
    far = float(evaluation.settings.get('far', FAR))
    any_look = next(iter(looks.values()))
    valid = valid_mask(any_look.truth, near, far)
    truth = np.where(valid, any_look.truth, np.nan).astype(np.float32)
    shown = np.concatenate([truth.ravel(), *(look.depth.ravel() for look in looks.values())])
    norm = figures.depth_norm(shown)
    at = f'{frame.condition or frame.recording}, {frame.kind} frame'
    section = Section(
        frame,
        [
            Picture(
                f'{name}_thermal.png',
                'Thermal camera',
                f'Thermal image, warm is bright, {at}',
                figures.picture_tile(figures.thermal_picture(any_look.thermal), ['inferno']),
            ),
            Picture(
                f'{name}_truth.png',
                'True depth',
                f'True depth in metres, near is red and far is blue, {at}',
                figures.map_tile(_spread(truth), 'depth', norm, WIDTH),
            ),
        ],
    )
    for label, look in looks.items():
        depth = np.where(look.depth > far, np.nan, look.depth).astype(np.float32)
        scored = clip_prediction(look.depth, near, far)
        error = np.where(valid, np.abs(scored - truth) / truth, np.nan).astype(np.float32)
        maps = [('depth', 'Depth', depth), ('error', 'Relative error', _spread(error))]
        if look.confidence is not None:
            maps.append(('confidence', 'Confidence', look.confidence))
        pictures = [
            Picture(
                f'{name}_{kind}.png',
                title,
                f'{title} of {label}, {at}',
                figures.map_tile(values, kind, norm if kind == 'depth' else None, WIDTH),
            )
            for kind, title, values in maps
        ]
        cloud = _cloud(look, depth, truth)
        if cloud is not None:
            alt = f'Point cloud of {label} seen from the side, {at}'
            pictures.append(Picture(f'{name}_cloud.png', 'Cloud from the side', alt, cloud))
        section.models[label] = pictures
    return section


def _spread(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sparse values made visible: each covers the pixels around it, the nearest wins."""
    known = np.isfinite(values)
    if not known.any() or known.mean() > 0.2:
        return values
    around = cv2.erode(np.where(known, values, np.float32(np.inf)), np.ones((3, 3), np.uint8))
    return np.where(np.isfinite(around), around, np.float32(np.nan)).astype(np.float32)


def _cloud(look: Look, depth: NDArray[np.float32], truth: NDArray[np.float32]) -> bytes | None:
    """Cloud of a frame over that of the truth; None without a calibration or any depth."""
    if look.intrinsics is None:
        return None
    height, width = depth.shape
    rays = _rays(width, height, *look.intrinsics)
    points, known = unprojected(depth, rays)
    if not len(points):
        return None
    reference, _ = unprojected(truth, rays)
    return figures.cloud_tile(
        moved(points, FORWARD_LEFT_UP),
        'side',
        None if look.confidence is None else look.confidence[known],
        moved(reference, FORWARD_LEFT_UP),
        size=(WIDTH, round(WIDTH * height / width) + 68),
        up='over the camera [m]',
    )


@functools.lru_cache(maxsize=2)
def _rays(
    width: int, height: int, fx: float, fy: float, cx: float, cy: float
) -> NDArray[np.float32]:
    """Rays of a camera; the frames of a recording share one."""
    return Intrinsics(width, height, fx, fy, cx, cy).rays()
