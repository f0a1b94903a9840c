# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth Anything V1 and V2 of the transformers library, relative and metric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from monother_ros.learning.teachers.base import BaseTeacher
from monother_ros.learning.teachers.picture import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    SizeRule,
    normalise,
    resize,
    resize_levels,
)
from monother_ros.learning.teachers.results import (
    INVERSE_FLOOR,
    Kind,
    TeacherBatch,
    TeacherOptions,
)

if TYPE_CHECKING:
    from torch import Tensor

    from monother_ros.learning.teachers.transformers_models import Processing

TARGET = 518
"""Published target of both sides in pixels."""


class DepthAnythingTeacher(BaseTeacher):
    """
    Depth Anything (Yang et al. 2024, V1 and V2).

    Before: 8-bit, antialiased bicubic resize by :class:`SizeRule`, ImageNet normalisation. After:
    bicubic resize to the picture. A relative model says an inverse depth up to scale and shift,
    0 in the sky; a metric one sigmoid · max_depth in metres, for cameras like the one that it was
    trained with (options.focal_length corrects for another one).

    :param name: of the model.
    :param model: DepthAnythingForDepthEstimation with its weights.
    :param processing: settings of its image processor.
    :param options: size replaces the target of 518x518.
    """

    uses: ClassVar[frozenset[str]] = frozenset({'size', 'focal_length'})

    def __init__(
        self, name: str, model: Any, processing: Processing, options: TeacherOptions
    ) -> None:
        """See the class."""
        kind: Kind = (
            'metric' if model.config.depth_estimation_type == 'metric' else 'affine-inverse'
        )
        super().__init__(name, kind, options)
        self.model = model.eval().requires_grad_(False).to(self.device)
        patch = int(model.config.patch_size)
        self.rule = processing.size_rule(SizeRule(TARGET, TARGET, patch), options.size)
        self.method = f'area_{processing.kernel("bicubic")}'.replace('area_bilinear', 'area')
        self.mean = processing.numbers('image_mean', IMAGENET_MEAN)
        self.std = processing.numbers('image_std', IMAGENET_STD)

    def prepare(self, picture: Tensor) -> Tensor:
        """
        Network input of a batch.

        :param picture: (B, 3, H, W) float in [0, 1].
        :returns: (B, 3, h, w), h and w multiples of the patch.
        """
        size = self.rule(*picture.shape[2:])
        return normalise(resize_levels(picture, size, self.method), self.mean, self.std)

    def finish(self, output: Tensor, size: tuple[int, int]) -> Tensor:
        """
        Depth at the size of the picture.

        :param output: (B, h, w), what the network says: metres, or relative inverse depth.
        :param size: (H, W) of the picture.
        :returns: (B, 1, H, W) depth; metres, or the inverse of relative inverse depth.
        """
        plane = resize(output.float()[:, None], size, 'bicubic')
        if self.kind == 'metric':
            return plane
        return 1.0 / plane.clamp(min=INVERSE_FLOOR)

    def _run(self, picture: Tensor, focal: Tensor | None) -> TeacherBatch:
        """Whole way of a batch."""
        with self._mixed():
            output = self.model(self.prepare(picture)).predicted_depth
        height, width = picture.shape[2:]
        return TeacherBatch(self.finish(output, (height, width)))

    def _network_width(self, height: int, width: int) -> float:
        """Width in pixels at which a picture goes through the network."""
        return self.rule(height, width)[1]
