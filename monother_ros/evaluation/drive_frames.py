# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Thermal frames of a recorded drive, spread over all of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from monother_ros.core.errors import BagError, CalibrationError
from monother_ros.evaluation.recording import INPUT_ROLES, Recording
from monother_ros.ros.messages import intrinsics_from_camera_info, message_to_array, thermal_array

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from monother_ros.core.camera import Intrinsics

_ROLES = {role: INPUT_ROLES[role] for role in ('thermal', 'thermal_info', 'truth')}


@dataclass(frozen=True, eq=False)
class DriveFrame:
    """
    One frame.

    :param image: (H, W) uint8 or uint16 raw counts.
    :param stamp_ns: its time in nanoseconds.
    :param intrinsics: of the camera; None where the bag does not tell.
    :param truth: (H, W) metres where the drive was simulated, +inf for sky; else None.
    """

    image: NDArray[Any]
    stamp_ns: int
    intrinsics: Intrinsics | None = None
    truth: NDArray[Any] | None = None


def read_drive(path: Path, count: int, topic: str | None = None) -> list[DriveFrame]:
    """
    Some frames of a drive in the order of their time.

    :param path: bag folder or file.
    :param count: how many at most.
    :param topic: of the thermal pictures; None for its usual names.
    :returns: at least one, evenly spread.
    :raises BagError: the bag cannot be read or holds no thermal pictures.
    :raises MessageError: they are no pictures.
    """
    with Recording(path, _ROLES, {} if topic is None else {'thermal': topic}) as recording:
        if not recording.has('thermal'):
            msg = (
                f'{path} has no thermal pictures under a usual name; say which of its topics they '
                f'are: {", ".join(recording.available) or "it is empty"}'
            )
            raise BagError(msg)
        total = len(recording.entries['thermal'])
        chosen = set(np.linspace(0, total - 1, min(count, total)).round().astype(int).tolist())
        camera = _camera(recording)
        frames, k = [], -1
        for _, entry, message in recording.stream(['thermal']):
            k += 1
            if k in chosen:
                image = np.array(thermal_array(recording.decode(message)))
                frames.append((image, entry.stamp))
        truth = _truth(recording, {stamp for _, stamp in frames})
    return [DriveFrame(image, stamp, camera, truth.get(stamp)) for image, stamp in frames]


def _camera(recording: Recording) -> Intrinsics | None:
    """Calibration of the thermal camera; None where there is none that can be used."""
    message = next((item for _, item in recording.messages('thermal_info')), None)
    try:
        return None if message is None else intrinsics_from_camera_info(message)
    except CalibrationError:
        return None


def _truth(recording: Recording, stamps: set[int]) -> dict[int, NDArray[Any]]:
    """Ground truth by stamp."""
    found = {}
    for _, entry, message in recording.stream(['truth']):
        if entry.stamp in stamps:
            found[entry.stamp] = np.array(message_to_array(recording.decode(message)))
    return found
