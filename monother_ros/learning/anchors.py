# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Anchors: frames of where a model comes from, with true depth.

They are rehearsed while it learns a new place, and judged so that it does not forget.

One .npz file without pickle: 'jpeg' (uint8, the pictures one after the other), 'offsets'
((N + 1,) int64), 'depth' ((N, h/4, w/4) float16), 'size' ((2,) int64, width and height) and
'focal_length' (() float64).
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from monother_ros.core.bundle import Normalisation
from monother_ros.core.errors import AdaptationError
from monother_ros.core.files import atomic_path
from monother_ros.core.parsing import read_archive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monother_ros.core.bundle import Bundle

STRIDE = 4
"""Depth is stored for one pixel of STRIDE x STRIDE."""

FIRST = 2
"""Row and column of the first pixel with depth: those of depth[i, j] are FIRST + STRIDE * (i, j).
Depth is never mixed over an edge; the output of a network is compared at `[FIRST::STRIDE]`."""

QUALITY = 95
"""Of the JPEG pictures."""

LITE = Normalisation('stable_percentile', 2.0, 98.0, mean=0.5, std=0.25)
"""Of the lite student."""

MAX_PIXELS = 1 << 29
"""Pixels of all pictures of a file together; more is refused as damaged."""


class AnchorBatch(NamedTuple):
    """Anchors of one step."""

    inputs: NDArray[np.float32]
    """(n, C, h, w) network input"""
    depth: NDArray[np.float32]
    """(n, 1, h/4, w/4) metres as the network says them; 0 unknown, +inf sky. depth[..., i, j]
    belongs to the pixel (FIRST + 4 i, FIRST + 4 j)"""
    indices: NDArray[np.int64]
    """(n,) which anchors they are"""


class Anchors:
    """
    Frames with true depth, all in memory.

    :param images: (N, h, w) uint8, the picture scaled to 0..255 before mean and std; h and w are
        multiples of 4.
    :param depth: (N, h/4, w/4) float16 metres for a camera of `focal_length`, at the pixels
        `[FIRST::STRIDE, FIRST::STRIDE]`; 0 unknown, +inf sky.
    :param focal_length: pixels at width w for which the depth is told (that of the bundle).
    :param normalisation: mean, std and channels of the network inputs; those of the lite student
        where None. See :meth:`for_bundle`.
    :raises AdaptationError: shapes or types do not fit each other.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        depth: NDArray[np.float16],
        focal_length: float = 260.0,
        normalisation: Normalisation | None = None,
    ) -> None:
        shape = images.shape
        fits = images.ndim == 3 and shape[1] % STRIDE == 0 and shape[2] % STRIDE == 0
        fits = fits and len(images) > 0 and min(shape) > 0
        if not fits or depth.shape != (shape[0], shape[1] // STRIDE, shape[2] // STRIDE):
            msg = (
                f'anchors need pictures (N, h, w) whose sides are multiples of {STRIDE} and depth '
                f'(N, h/{STRIDE}, w/{STRIDE}), but have {images.shape} and {depth.shape}'
            )
            raise AdaptationError(msg)
        if images.dtype != np.uint8 or depth.dtype != np.float16:
            msg = f'anchors need uint8 and float16, but are {images.dtype} and {depth.dtype}'
            raise AdaptationError(msg)
        if not (np.isfinite(focal_length) and focal_length > 0):
            msg = f'the focal length of anchors is {focal_length}; it must be positive'
            raise AdaptationError(msg)
        self.images = images
        self.depth = depth
        self.focal_length = float(focal_length)
        self.normalisation = normalisation or LITE

    def __len__(self) -> int:
        return len(self.images)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the pictures in pixels."""
        return self.images.shape[2], self.images.shape[1]

    def network_inputs(
        self, normalisation: Normalisation, indices: Sequence[int] | NDArray[np.integer]
    ) -> NDArray[np.float32]:
        """
        Network inputs of some anchors.

        :param normalisation: of the bundle; its mean, std and number of channels are applied.
        :param indices: (n,) which anchors.
        :returns: (n, C, h, w) float32.
        """
        pictures = self.images[np.asarray(indices, np.int64)].astype(np.float32)
        pictures *= np.float32(1 / 255)
        pictures -= np.float32(normalisation.mean)
        pictures *= np.float32(1 / normalisation.std)
        return np.repeat(pictures[:, None], normalisation.channels, axis=1)

    def batch(self, indices: Sequence[int] | NDArray[np.integer]) -> AnchorBatch:
        """
        Some anchors, in the order of the indices.

        :param indices: (n,) which anchors.
        """
        chosen = np.asarray(indices, np.int64)
        depth = self.depth[chosen].astype(np.float32)[:, None]
        return AnchorBatch(self.network_inputs(self.normalisation, chosen), depth, chosen)

    def sample(self, n: int, rng: np.random.Generator) -> AnchorBatch:
        """
        Some anchors at random, each at most once; all of them where n is larger.

        :param n: how many.
        :param rng: source of the choice.
        """
        return self.batch(rng.choice(len(self), min(n, len(self)), replace=False))

    def for_bundle(self, bundle: Bundle) -> Anchors:
        """
        The same frames as inputs and depth of a bundle's network.

        :param bundle: of the student.
        """
        resized = self.resized(bundle.input_size, bundle.focal_length)
        return Anchors(resized.images, resized.depth, resized.focal_length, bundle.normalisation)

    def resized(self, size: tuple[int, int], focal_length: float | None) -> Anchors:
        """
        The same frames for a network of another input size or canonical focal length.

        The network's metres are for its canonical camera: the same picture through a lens s times
        longer, relative to the width, shows everything s times farther away.

        :param size: (width, height) in pixels, multiples of 4.
        :param focal_length: of the other bundle, pixels at its width; None (a network whose depth
            is not corrected for the camera) leaves the depth as it is.
        """
        width, height = size
        factor = 1.0
        if focal_length is not None:
            factor = (focal_length / width) / (self.focal_length / self.size[0])
        if size == self.size and abs(factor - 1) < 1e-6:
            return self
        shrinks = width <= self.size[0] and height <= self.size[1]
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        images = np.stack([cv2.resize(p, size, interpolation=method) for p in self.images])
        rows, columns = (
            np.clip(
                (((FIRST + STRIDE * np.arange(new // STRIDE)) + 0.5) * old / new - 0.5 - FIRST)
                / STRIDE
                + 0.5,
                0,
                old // STRIDE - 1,
            ).astype(np.intp)
            for new, old in ((height, self.size[1]), (width, self.size[0]))
        )
        depth = self.depth[:, rows[:, None], columns].astype(np.float32) * np.float32(factor)
        focal = self.focal_length * width / self.size[0] if focal_length is None else focal_length
        return Anchors(images, depth.astype(np.float16), focal, self.normalisation)

    def write(self, path: str | Path, quality: int = QUALITY) -> Path:
        """
        Write a file whole or not at all; the same anchors give the same bytes.

        Pictures are stored as JPEG.

        :param path: target, ends in .npz.
        :param quality: of the JPEG pictures, up to 100.
        :raises OSError: the disk is full or the folder cannot be written.
        :raises AdaptationError: OpenCV cannot write JPEG.
        """
        parts = []
        for picture in self.images:
            done, data = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
            if not done:
                msg = 'OpenCV cannot encode JPEG; install a build with it'
                raise AdaptationError(msg)
            parts.append(np.asarray(data, np.uint8).reshape(-1))
        offsets = np.concatenate([[0], np.cumsum([len(p) for p in parts])]).astype(np.int64)
        with atomic_path(path) as work, work.open('wb') as handle:
            np.savez_compressed(
                handle,
                jpeg=np.concatenate(parts),
                offsets=offsets,
                depth=self.depth,
                size=np.asarray(self.size, np.int64),
                focal_length=np.float64(self.focal_length),
            )
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Anchors:
        """
        Read a file of :meth:`write`.

        :param path: of the file.
        :raises AdaptationError: it is missing, damaged, or no file of anchors.
        """
        try:
            data = read_archive(path)
            jpeg, offsets, depth = data['jpeg'], data['offsets'], data['depth']
            width, height = (int(v) for v in data['size'])
            focal = float(data['focal_length'])
        except FileNotFoundError as err:
            msg = (
                f'there is no file of anchors at {path}; reinstall the model or switch anchors off'
            )
            raise AdaptationError(msg) from err
        except (OSError, ValueError, KeyError, TypeError, OverflowError) as err:
            msg = f'{path} cannot be read as anchors ({err}); copy it again'
            raise AdaptationError(msg) from err
        fits = jpeg.ndim == 1 and jpeg.dtype == np.uint8 and offsets.ndim == 1 and len(offsets) > 1
        fits = fits and offsets.dtype == np.int64 and depth.dtype == np.float16
        fits = (
            fits
            and offsets[0] == 0
            and offsets[-1] == len(jpeg)
            and bool((np.diff(offsets) > 0).all())
        )
        fits = (
            fits and min(width, height) > 0 and (len(offsets) - 1) * width * height <= MAX_PIXELS
        )
        if not fits:
            msg = f'{path} holds no anchors: its arrays do not fit each other; copy it again'
            raise AdaptationError(msg)
        images = np.empty((len(offsets) - 1, height, width), np.uint8)
        for index, (start, stop) in enumerate(itertools.pairwise(offsets)):
            picture = cv2.imdecode(jpeg[start:stop], cv2.IMREAD_GRAYSCALE)
            if picture is None or picture.shape != (height, width):
                msg = f'{path}: picture {index} is damaged; copy the file again'
                raise AdaptationError(msg)
            images[index] = picture
        return cls(images, depth, focal)


def shrink_depth(depth: NDArray[np.floating]) -> NDArray[np.float16]:
    """
    Depth as anchors hold it, from depth at the size of the picture.

    :param depth: (..., h, w) metres as the network says them, 0 or NaN unknown, +inf sky.
    :returns: (..., h/4, w/4) float16.
    """
    small = depth[..., FIRST::STRIDE, FIRST::STRIDE]
    return np.where(np.isnan(small), 0, small).astype(np.float16)
