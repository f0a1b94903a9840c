# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What goes into a teacher and what comes out: options and results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from monother_ros.core.errors import TeacherError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Kind = Literal['metric', 'scale', 'affine-inverse']
"""
What is not known of a teacher's depth d, per picture:

``metric``
    nothing: d is in metres.
``scale``
    one factor a > 0: metres are a·d.
``affine-inverse``
    a > 0 and b: metres are 1 / (a/d + b). An inverse depth y = 1/d that is known up to scale and
    shift. No single factor makes such a depth metric, not even its ratios are right.
"""

KINDS: tuple[Kind, ...] = ('metric', 'scale', 'affine-inverse')

PRECISIONS = {'fp32': None, 'fp16': torch.float16, 'bf16': torch.bfloat16}

INVERSE_FLOOR = 1e-6
"""Smallest inverse depth of a relative teacher; keeps 1/y finite where a network says y = 0."""


@dataclass(frozen=True)
class TeacherDepth:
    """
    What a teacher says about one picture.

    :param depth: (H, W) float32 along the optical axis, larger is farther, 0 where unknown; metres
        if kind is 'metric', else see :data:`Kind`. Never negative, never NaN or infinite.
    :param kind: what is not known of the depth.
    :param confidence: (H, W) float32 in [0, 1], or None where the teacher does not say.
    :param focal_length: horizontal focal length in pixels of the given picture that the depth was
        worked out with: the camera's own, or the teacher's estimate; None if it played no part.
    """

    depth: NDArray[np.float32]
    kind: Kind = 'metric'
    confidence: NDArray[np.float32] | None = None
    focal_length: float | None = None

    @property
    def relative(self) -> bool:
        """Whether the depth is not in metres."""
        return self.kind != 'metric'

    @property
    def known(self) -> NDArray[np.bool_]:
        """(H, W) bool, where there is a depth."""
        return self.depth > 0

    @property
    def inverse(self) -> NDArray[np.float32]:
        """(H, W) float32, 1/depth; 0 where unknown."""
        inverse = np.zeros_like(self.depth)
        np.divide(1.0, self.depth, out=inverse, where=self.depth > 0)
        return inverse


class TeacherBatch(NamedTuple):
    """
    What a teacher says about a batch, on its device; see :class:`TeacherDepth`.

    :param depth: (B, 1, H, W) float32.
    :param confidence: (B, 1, H, W) float32 or None.
    :param focal_length: (B,) float32 pixels or None.
    """

    depth: Tensor
    confidence: Tensor | None = None
    focal_length: Tensor | None = None


@dataclass(frozen=True)
class TeacherOptions:
    """
    How a teacher is loaded and run.

    :param device: torch name, 'cpu' or 'cuda' or 'cuda:1'; 'auto' takes a GPU where there is one.
    :param precision: 'fp32', or 'fp16' and 'bf16' through automatic mixed precision.
    :param size: (height, width) in pixels that pictures are brought to, in the sense of each
        family's own rule; None takes what the model was published with.
    :param flip: average with the mirrored picture (twice the time); None does what the family's
        authors do: ZoeDepth does, the others do not.
    :param known_focal: the focal length is always given; Depth Pro then leaves out its network
        for the field of view.
    :param domain: of a ZoeDepth with several heads, the name of the head to use ('nyu', 'kitti');
        None lets the network choose for each picture.
    :param focal_length: f0 in pixels at the network's width of the camera that a metric model was
        trained with: depth is multiplied by f/f0 where the picture's camera is known; None leaves
        the depth alone. Depth Pro knows the focal length by itself, a bundle names its own.
    :param description: file or fields that say what an ONNX file means, see docs/teachers.md.
    :param download: whether a model may come from the hub; False takes local copies only.
    :param threads: of ONNX Runtime on the CPU; 0 is its own choice. The families that run in
        torch take the threads that torch is set to.
    """

    device: str = 'cpu'
    precision: str = 'fp32'
    size: tuple[int, int] | None = None
    flip: bool | None = None
    known_focal: bool = False
    domain: str | None = None
    focal_length: float | None = None
    description: Any = None
    download: bool = True
    threads: int = 0

    def __post_init__(self) -> None:
        """Refuse what no teacher could do."""
        if self.precision not in PRECISIONS:
            msg = f'precision {self.precision!r} is not known; use one of {", ".join(PRECISIONS)}'
            raise TeacherError(msg)
        if self.size is not None and (len(self.size) != 2 or min(self.size) < 14):
            msg = f'size {self.size} must be (height, width) of at least 14 pixels'
            raise TeacherError(msg)
        if self.focal_length is not None and not self.focal_length > 0:
            msg = f'focal_length {self.focal_length} px must be > 0'
            raise TeacherError(msg)
