# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth Pro of the transformers library, with the camera's own focal length."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from monother_ros.core.errors import TeacherError
from monother_ros.learning.teachers.base import BaseTeacher
from monother_ros.learning.teachers.picture import HALF, normalise, resize
from monother_ros.learning.teachers.results import TeacherBatch, TeacherOptions

if TYPE_CHECKING:
    from torch import Tensor

    from monother_ros.learning.teachers.transformers_models import Processing

INVERSE_RANGE = (1e-4, 1e4)
"""Limits of inverse depth in 1/m: depth lies between 0.1 mm and 10 km."""

FIELD_OF_VIEW_RANGE = (1.0, 179.0)
"""Limits in degrees of an estimated field of view; the network's last layer has none."""


def focal_from_field_of_view(degrees: Tensor, width: int) -> Tensor:
    """
    Horizontal focal length f = W / (2 tan(fov / 2)) (Depth Pro, section 3.3).

    :param degrees: horizontal field of view, any shape; held within FIELD_OF_VIEW_RANGE.
    :param width: of the picture in pixels.
    :returns: pixels.
    """
    half = torch.deg2rad(degrees.float().clamp(*FIELD_OF_VIEW_RANGE)) / 2.0
    return 0.5 * width / torch.tan(half)


def depth_from_canonical(canonical: Tensor, focal: Tensor, size: tuple[int, int]) -> Tensor:
    """
    Metric depth D = f / (W C) (Depth Pro, section 3.1) at the size of the picture.

    C·W/f is resized (bilinear, half-pixel centres, no antialias), then held within INVERSE_RANGE,
    then inverted, as in the published inference.

    :param canonical: (B, h, w) canonical inverse depth C.
    :param focal: (B,) horizontal focal lengths in pixels of the picture.
    :param size: (H, W) of the picture in pixels.
    :returns: (B, 1, H, W) metres.
    """
    inverse = canonical[:, None] * (size[1] / focal).view(-1, 1, 1, 1)
    return 1.0 / resize(inverse, size, 'bilinear').clamp(*INVERSE_RANGE)


class DepthProTeacher(BaseTeacher):
    """
    Depth Pro (Bochkovskii et al. 2024): sharp metric depth, slow.

    Before: (v - 0.5) / 0.5, then a bilinear resize without antialias to a square, whatever the
    aspect. After: :func:`depth_from_canonical` with the focal length that is given; only where
    none is given the network's own estimate is used. `predicted_depth` of the model is canonical
    *inverse* depth.

    :param name: of the model.
    :param model: DepthProForDepthEstimation with its weights.
    :param processing: settings of its image processor.
    :param options: size replaces the published square; known_focal leaves the estimate out.
    """

    uses: ClassVar[frozenset[str]] = frozenset({'size', 'known_focal'})

    def __init__(
        self, name: str, model: Any, processing: Processing, options: TeacherOptions
    ) -> None:
        """See the class."""
        super().__init__(name, 'metric', options)
        self.model = model.eval().requires_grad_(False).to(self.device)
        config = model.config
        least = math.ceil(config.patch_size / min(config.scaled_images_ratios))
        target = processing.settings.get('size') or {'height': least, 'width': least}
        self.size = options.size or (int(target['height']), int(target['width']))
        if self.size[0] != self.size[1] or self.size[0] < least:
            msg = (
                f'{name} takes squares of at least {least}x{least} pixels, not '
                f'{self.size[1]}x{self.size[0]}'
            )
            raise TeacherError(msg)
        self.mean = processing.numbers('image_mean', HALF)
        self.std = processing.numbers('image_std', HALF)

    def prepare(self, picture: Tensor) -> Tensor:
        """
        Network input of a batch.

        :param picture: (B, 3, H, W) float in [0, 1].
        :returns: (B, 3, s, s).
        """
        return resize(normalise(picture, self.mean, self.std), self.size, 'bilinear')

    def _run(self, picture: Tensor, focal: Tensor | None) -> TeacherBatch:
        """Whole way of a batch."""
        if focal is None and not self.model.use_fov_model:
            msg = (
                f'{self.name} was loaded without its field-of-view network, so it needs the '
                "camera's intrinsics with every picture"
            )
            raise TeacherError(msg)
        with self._mixed():
            output = self.model(self.prepare(picture))
        height, width = picture.shape[2:]
        if focal is None:
            focal = focal_from_field_of_view(output.field_of_view, width)
        canonical = output.predicted_depth.float()
        return TeacherBatch(
            depth_from_canonical(canonical, focal, (height, width)), focal_length=focal
        )
