# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures on their way into a teacher's network, and its planes on their way back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from monother_ros.core.errors import TeacherError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)

METHODS = ('bilinear', 'bicubic', 'aligned', 'area', 'area_bicubic')
"""
Ways to resize: half-pixel centres without antialias, 'aligned' = bilinear with aligned corners,
'area…' = the same kernels widened when shrinking (what Pillow and torchvision do).
"""


def resize(picture: Tensor, size: tuple[int, int], method: str) -> Tensor:
    """
    Resize a batch.

    :param picture: (B, C, H, W) float.
    :param size: (height, width) in pixels.
    :param method: one of :data:`METHODS`.
    :returns: (B, C, height, width); the picture itself where it has that size.
    """
    if picture.shape[2:] == size:
        return picture
    if method == 'aligned':
        return F.interpolate(picture, size, mode='bilinear', align_corners=True)
    kernel = 'bicubic' if method.endswith('bicubic') else 'bilinear'
    antialias = method.startswith('area')
    return F.interpolate(picture, size, mode=kernel, align_corners=False, antialias=antialias)


def resize_levels(picture: Tensor, size: tuple[int, int], method: str) -> Tensor:
    """
    Resize 8-bit pictures as Pillow does, on any device.

    Columns first, then rows; after each pass bicubic overshoot is clipped and levels are rounded.
    The published processors of Depth Anything work on such pictures.

    :param picture: (B, C, H, W) float in [0, 1], whole multiples of 1/255.
    :param size: (height, width) in pixels.
    :param method: 'area' or 'area_bicubic'.
    :returns: (B, C, height, width), again multiples of 1/255.
    """
    for target in ((picture.shape[2], size[1]), size):
        levels = resize(picture, target, method) * 255.0
        picture = levels.round().clamp(0.0, 255.0) / 255.0
    return picture


def normalise(picture: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """
    (picture - mean) / std for each channel.

    :param picture: (B, C, H, W).
    :param mean: C numbers.
    :param std: C numbers > 0.
    """
    shape = (1, -1, 1, 1)
    return (picture - picture.new_tensor(mean).view(shape)) / picture.new_tensor(std).view(shape)


@dataclass(frozen=True)
class SizeRule:
    """
    Size at which a picture goes through a network (DPT's rule, also Depth Anything's, ZoeDepth's).

    With keep_aspect, of the two scales that would fit the height or the width the one nearer to 1
    is taken for both sides. Where a picture is larger than the target on both sides the target is
    thus a lower bound. Each side is rounded to the nearest multiple, a half to the even one.

    :param height: target in pixels.
    :param width: target in pixels.
    :param multiple: both sides become multiples of it; a fraction keeps them nearly as they are.
    :param keep_aspect: see above; False stretches to the target.
    """

    height: int
    width: int
    multiple: float = 1
    keep_aspect: bool = True

    def __call__(self, height: int, width: int) -> tuple[int, int]:
        """
        Network (height, width) of a picture.

        :param height: of the picture in pixels.
        :param width: of the picture in pixels.
        :raises TeacherError: the picture is so narrow that a side would become 0.
        """
        scale_y, scale_x = self.height / height, self.width / width
        if self.keep_aspect:
            if abs(1 - scale_x) < abs(1 - scale_y):
                scale_y = scale_x
            else:
                scale_x = scale_y
        sides = [
            int(round(scale * side / self.multiple) * self.multiple)
            for scale, side in ((scale_y, height), (scale_x, width))
        ]
        if min(sides) < 1:
            msg = (
                f'a picture of {width}x{height} would be {sides[1]}x{sides[0]} in the network; '
                'it is too narrow for this teacher'
            )
            raise TeacherError(msg)
        return sides[0], sides[1]


def mirrored(picture: Tensor) -> Tensor:
    """
    Picture with left and right exchanged.

    :param picture: (…, W).
    """
    return torch.flip(picture, dims=(-1,))
