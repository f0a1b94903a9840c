# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The RGB branch of the reference network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from monother_ros.core.errors import BundleError, TeacherError
from monother_ros.learning.teachers.base import BaseTeacher
from monother_ros.learning.teachers.picture import resize
from monother_ros.learning.teachers.results import TeacherBatch, TeacherOptions
from monother_ros.networks.checkpoint import load_branch, read_checkpoint
from monother_ros.networks.deploy import confidence_of
from monother_ros.networks.monother import network_size, prepare_rgb

if TYPE_CHECKING:
    from torch import Tensor

    from monother_ros.networks.monother import DepthBranch

WIDTH = 640
"""Width in pixels of the pictures in both published trainings."""


def load_monother(source: str, options: TeacherOptions) -> MonoTherTeacher:
    """
    Load the RGB branch of a checkpoint; the thermal branch is neither read nor built.

    :param source: the authors' file, or safetensors with the same names.
    :param options: how it runs.
    :raises TeacherError: no such file, no checkpoint, or its RGB branch is incomplete.
    """
    path = Path(source).expanduser()
    try:
        branch, _ = load_branch(read_checkpoint(path), 'rgb')
    except BundleError as err:
        raise TeacherError(str(err)) from err
    return MonoTherTeacher(path.stem, branch, options)


class MonoTherTeacher(BaseTeacher):
    """
    RGB branch of MonoTher-Depth: metric depth and, from its bins, confidence.

    Before: bilinear resize to the size of the training pictures (half-pixel centres, no
    antialias, as the published loader does it), then with aligned corners to multiples of 14, then
    ImageNet normalisation. After: resize with aligned corners. The confidence is the mass of the
    distribution over depth within a factor of 1.25 of the predicted depth.

    The checkpoints learned from cameras with one focal length each (MS2, ViViD); none is recorded
    in them, so that depth is only corrected if options.focal_length says it.

    :param name: of the checkpoint.
    :param branch: with its weights.
    :param options: size replaces that of the training pictures, by default 640 pixels wide with
        the aspect of the picture; a checkpoint of MS2 saw its 384x1224 pictures as 256x640.
    """

    uses: ClassVar[frozenset[str]] = frozenset({'size', 'focal_length'})

    def __init__(self, name: str, branch: DepthBranch, options: TeacherOptions) -> None:
        """See the class."""
        super().__init__(name, 'metric', options)
        self.branch = branch.eval().requires_grad_(False).to(self.device)

    def nominal_size(self, height: int, width: int) -> tuple[int, int]:
        """
        Size to which a picture is brought first.

        :param height: of the picture in pixels.
        :param width: of the picture in pixels.
        :returns: (height, width).
        """
        return self.options.size or (max(1, round(height * WIDTH / width)), WIDTH)

    def prepare(self, picture: Tensor) -> Tensor:
        """
        Network input of a batch.

        :param picture: (B, 3, H, W) float in [0, 1].
        :returns: (B, 3, h, w), h and w multiples of 14.
        """
        nominal = self.nominal_size(picture.shape[2], picture.shape[3])
        return prepare_rgb(resize(picture, nominal, 'bilinear'), network_size(*nominal))

    def _run(self, picture: Tensor, focal: Tensor | None) -> TeacherBatch:
        """Whole way of a batch."""
        size = (picture.shape[2], picture.shape[3])
        with self._mixed():
            output = self.branch(self.prepare(picture))
        depth = output.depth.float()
        confidence = confidence_of(output.probabilities.float(), output.centres.float(), depth)
        return TeacherBatch(resize(depth, size, 'aligned'), resize(confidence, size, 'aligned'))

    def _network_width(self, height: int, width: int) -> float:
        """Width in pixels at which a picture goes through the network."""
        return network_size(*self.nominal_size(height, width))[1]
