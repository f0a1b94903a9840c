# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Depth teachers: RGB in, depth out.

A thermal network learns from what such a network says about the RGB picture beside it. Each family
brings its own pre- and post-processing; see docs/teachers.md.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Protocol

from monother_ros.core.errors import TeacherError
from monother_ros.learning.teachers.results import (
    KINDS,
    Kind,
    TeacherBatch,
    TeacherDepth,
    TeacherOptions,
)

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from monother_ros.core.camera import Intrinsics

__all__ = [
    'FAMILIES',
    'KINDS',
    'Kind',
    'Teacher',
    'TeacherBatch',
    'TeacherDepth',
    'TeacherOptions',
    'load_teacher',
]

FAMILIES = {
    'transformers': ('transformers_models', 'load_transformers'),
    'onnx': ('onnx_file', 'load_onnx'),
    'bundle': ('bundle', 'load_rgb_bundle'),
    'monother': ('monother', 'load_monother'),
}
"""Module and function that loads each family, by the word before the colon."""


class Teacher(Protocol):
    """
    Says depth for RGB pictures. Not for use by several threads at once.

    :ivar name: for logs and for the record of what was trained with it.
    :ivar kind: what is not known of its depth.
    :ivar device: where it runs.
    """

    name: str
    kind: Kind
    device: torch.device

    @property
    def relative(self) -> bool:
        """Whether its depth is not in metres; `kind` says what is missing."""

    def depth(self, rgb: NDArray[np.uint8], intrinsics: Intrinsics | None = None) -> TeacherDepth:
        """
        Depth of one picture, at its size.

        :param rgb: (H, W, 3) uint8, red first.
        :param intrinsics: of the camera that took the picture; only fx is used.
        """

    def predict(self, rgb: torch.Tensor, focal_length: torch.Tensor | None = None) -> TeacherBatch:
        """
        Depth of a batch on the teacher's device, without gradients.

        :param rgb: (B, 3, H, W) uint8, or float in [0, 1].
        :param focal_length: (B,) pixels of these pictures.
        """


def load_teacher(spec: str, options: TeacherOptions | None = None) -> Teacher:
    """
    Load a teacher.

    :param spec: 'transformers:FOLDER' or 'transformers:OWNER/MODEL', 'onnx:FILE',
        'bundle:FOLDER', or 'monother:CHECKPOINT' for the RGB branch of the reference network.
    :param options: device, precision and what the family understands.
    :returns: the teacher, ready to run.
    :raises TeacherError: the spec is of no known family, or the model cannot be loaded; says why.
    """
    family, colon, source = spec.partition(':')
    if not colon or family not in FAMILIES or not source:
        forms = ', '.join(f'{name}:…' for name in FAMILIES)
        msg = f'{spec!r} names no teacher; use one of {forms}'
        raise TeacherError(msg)
    module, function = FAMILIES[family]
    loader = getattr(importlib.import_module(f'monother_ros.learning.teachers.{module}'), function)
    teacher: Teacher = loader(source, options or TeacherOptions())
    return teacher
