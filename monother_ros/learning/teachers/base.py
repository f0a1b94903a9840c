# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every teacher has in common: the checks and conversions around its network."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from monother_ros.core.errors import TeacherError
from monother_ros.core.scale import fit_intrinsics
from monother_ros.learning.teachers.picture import mirrored
from monother_ros.learning.teachers.results import (
    PRECISIONS,
    Kind,
    TeacherBatch,
    TeacherDepth,
    TeacherOptions,
)

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from monother_ros.core.camera import Intrinsics


def torch_device(name: str) -> torch.device:
    """
    Device to run on.

    :param name: see :class:`TeacherOptions`.
    :raises TeacherError: there is no such device here.
    """
    if name == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as err:
        reason = str(err).splitlines()[0]
        msg = f"a teacher cannot run on {name!r}: {reason}; use 'cpu' or 'auto'"
        raise TeacherError(msg) from err
    return device


class BaseTeacher(ABC):
    """
    A teacher: pictures in, depth of the same size out.

    A family says :meth:`_run`; the checks, the mirrored pass and the focal correction are here.
    Not for use by several threads at once.

    :ivar name: for logs and for the record of what was trained with it.
    :ivar kind: what is not known of its depth.
    :ivar device: where it runs.
    :param name: see above.
    :param kind: see above.
    :param options: how it runs.
    """

    uses: ClassVar[frozenset[str]] = frozenset()
    """Options beyond device, precision, flip and download that a family understands."""

    def __init__(self, name: str, kind: Kind, options: TeacherOptions) -> None:
        """See the class."""
        self.name = name
        self.kind: Kind = kind
        self.options = options
        self.device = torch_device(options.device)
        self.flip = bool(options.flip)
        self.focal_length = options.focal_length
        for option in ('size', 'domain', 'focal_length', 'description', 'known_focal'):
            if getattr(options, option) and option not in self.uses:
                msg = f'the teacher {name} has no option {option!r}; leave it out'
                raise TeacherError(msg)

    @property
    def relative(self) -> bool:
        """Whether its depth is not in metres."""
        return self.kind != 'metric'

    @property
    def description(self) -> str:
        """Name, kind of depth, device and precision in one line."""
        return f'{self.name}, {self.kind} depth, on {self.device} in {self.options.precision}'

    def depth(self, rgb: NDArray[np.uint8], intrinsics: Intrinsics | None = None) -> TeacherDepth:
        """
        Depth of one picture.

        Teachers see a pinhole camera: of the intrinsics only fx is used, and a lens distortion is
        ignored. Rectify pictures of a strongly distorted camera first.

        :param rgb: (H, W, 3) uint8, red first.
        :param intrinsics: of the camera that took the picture, for this size or for another of
            the same aspect; None if not known.
        :returns: at the size of the picture.
        :raises TeacherError: this is no such picture, or the teacher needs to know the camera.
        :raises CalibrationError: the intrinsics are of another aspect.
        """
        if not isinstance(rgb, np.ndarray) or rgb.dtype != np.uint8 or rgb.shape[2:] != (3,):
            found = f'{getattr(rgb, "shape", type(rgb))} {getattr(rgb, "dtype", "")}'.strip()
            msg = f'a teacher takes an (H, W, 3) uint8 RGB picture, but got {found}'
            raise TeacherError(msg)
        focal = None
        if intrinsics is not None:
            height, width = rgb.shape[:2]
            focal = torch.tensor([fit_intrinsics(intrinsics, width, height).fx])
        picture = torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))
        batch = self.predict(picture[None], focal)
        confidence = batch.confidence
        return TeacherDepth(
            batch.depth[0, 0].cpu().numpy(),
            self.kind,
            None if confidence is None else confidence[0, 0].cpu().numpy(),
            None if batch.focal_length is None else float(batch.focal_length[0]),
        )

    def predict(self, rgb: Tensor, focal_length: Tensor | None = None) -> TeacherBatch:
        """
        Depth of a batch, without gradients and without a copy to the host.

        :param rgb: (B, 3, H, W) on any device, uint8 or float in [0, 1], red first.
        :param focal_length: (B,) horizontal focal lengths in pixels of these pictures, or None.
        :returns: at the size of the pictures, on the teacher's device.
        :raises TeacherError: see :meth:`depth`.
        """
        if rgb.ndim != 4 or rgb.shape[1] != 3 or min(rgb.shape[2:]) < 8:
            msg = (
                'a teacher takes a (B, 3, H, W) batch of pictures of at least 8x8 pixels, but got '
                f'{tuple(rgb.shape)}'
            )
            raise TeacherError(msg)
        if focal_length is not None and (
            focal_length.shape != rgb.shape[:1] or not bool((focal_length > 0).all())
        ):
            msg = (
                f'focal lengths must be {len(rgb)} numbers > 0 in pixels, one for each picture, '
                f'but are {focal_length.tolist()}'
            )
            raise TeacherError(msg)
        with torch.no_grad():
            picture = rgb.to(self.device)
            if picture.dtype == torch.uint8:
                picture = picture.float() / 255.0
            picture = picture.float()
            focal = None if focal_length is None else focal_length.to(self.device).float()
            batch = self._run(picture, focal)
            if self.flip:
                batch = self._average(batch, self._run(mirrored(picture), focal))
            depth = self._to_metres(batch.depth.float(), focal, rgb.shape[3])
            usable = torch.isfinite(depth) & (depth > 0)
            return batch._replace(depth=torch.where(usable, depth, torch.zeros_like(depth)))

    @abstractmethod
    def _run(self, picture: Tensor, focal: Tensor | None) -> TeacherBatch:
        """
        Whole way of a batch, with the family's own pre- and post-processing.

        :param picture: (B, 3, H, W) float32 in [0, 1] on the device.
        :param focal: (B,) float32 pixels of these pictures, or None.
        :returns: depth (B, 1, H, W); values that are not finite or not > 0 count as unknown.
        """

    def _average(self, one: TeacherBatch, other: TeacherBatch) -> TeacherBatch:
        """Mean of a pass and of the pass of the mirrored picture."""
        back = mirrored(other.depth)
        if self.kind == 'affine-inverse':  # only inverse depths of this kind can be added
            depth = 2.0 / (1.0 / one.depth + 1.0 / back)
        else:
            depth = (one.depth + back) / 2.0
        confidence = one.confidence
        if confidence is not None and other.confidence is not None:
            confidence = (confidence + mirrored(other.confidence)) / 2.0
        focal = one.focal_length
        if focal is not None and other.focal_length is not None:
            focal = (focal + other.focal_length) / 2.0
        return TeacherBatch(depth, confidence, focal)

    def _network_width(self, height: int, width: int) -> float:
        """Width in pixels at which a picture goes through the network."""
        return width

    def _to_metres(self, depth: Tensor, focal: Tensor | None, width: int) -> Tensor:
        """Multiply by f / f0, both at the network's width, where both are known."""
        if self.focal_length is None or focal is None:
            return depth
        at_network = focal * (self._network_width(depth.shape[2], width) / width)
        return depth * (at_network / self.focal_length).view(-1, 1, 1, 1)

    def _mixed(self) -> AbstractContextManager[Any]:
        """Context in which the network runs at the wanted precision."""
        kind = PRECISIONS[self.options.precision]
        if kind is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=kind)
