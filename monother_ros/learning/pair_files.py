# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files of published data sets of image pairs: lists, images, labels, and what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from monother_ros.core.encoded import encoded_problem
from monother_ros.core.errors import DatasetError
from monother_ros.core.thermal import MIN_SPAN, percentile_bounds
from monother_ros.learning.datasets import PairSample

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LOW, HIGH = 2.0, 98.0
"""Percentiles of a thermal frame that become 0 and 1."""

NAMED = 5
"""Missing files that an error names; the rest is counted."""


def read_names(path: Path) -> list[str]:
    """
    Names of a list file, one per line; line ends of any system and blank lines do not matter.

    :raises DatasetError: the file cannot be read or names nothing.
    """
    try:
        names = [line.strip() for line in path.read_text(encoding='utf-8-sig').splitlines()]
    except (OSError, UnicodeDecodeError) as err:
        msg = f'list {path} cannot be read: {err}'
        raise DatasetError(msg) from err
    names = [name for name in names if name]
    if not names:
        msg = f'list {path} names nothing; it must hold one name per line'
        raise DatasetError(msg)
    return names


def listed(
    root: Path, file: str, published: Mapping[str, tuple[str, ...]], split: str
) -> list[str]:
    """
    Names of a split: those of its list file, or the published ones where there is no list.

    :param root: of the data set.
    :param file: name of the list file.
    :param published: names of every split.
    :param split: to take.
    :raises DatasetError: the split is not known, or its list cannot be read.
    """
    if (root / file).is_file():
        return read_names(root / file)
    if split not in published:
        msg = f'split {split!r} has no list {root / file}; known are {", ".join(published)}'
        raise DatasetError(msg)
    return list(published[split])


def existing_folder(path: Path, what: str) -> Path:
    """
    Check that a folder is there.

    :raises DatasetError: it is not.
    """
    if not path.is_dir():
        msg = f'{what} {path} is not a folder; check the root and the layout of the data set'
        raise DatasetError(msg)
    return path


def file_names(folder: Path, ending: str) -> set[str]:
    """Names of the files of a folder that have an ending, hidden ones (._x.png) aside."""
    if not folder.is_dir():
        return set()
    names = (file.name for file in folder.iterdir())
    return {name for name in names if name.endswith(ending) and not name.startswith('.')}


def thermal_files(folder: Path, what: str) -> list[str]:
    """
    Names of the thermal images of a folder, sorted.

    :param folder: of the images.
    :param what: they are, for the error.
    :raises DatasetError: there is no such folder, or no image in it.
    """
    names = sorted(file_names(existing_folder(folder, what), '.png'))
    if not names:
        msg = f'{what} {folder} holds no .png; complete the data set or take it off the list'
        raise DatasetError(msg)
    return names


def keep_complete(
    samples: Sequence[tuple[str, tuple[tuple[str, Path], ...]]],
    *,
    skip: bool,
    what: str,
) -> tuple[list[int], int]:
    """
    Which samples have all of their files.

    :param samples: name of the sample, and what each of its files is with its path.
    :param skip: leave incomplete samples out instead of raising.
    :param what: name of the data set for the error.
    :returns: indices of the complete samples, and the number of files that are missing.
    :raises DatasetError: files are missing; some are named, all are counted. Or no sample is left.
    """
    there: dict[Path, set[str]] = {}
    missing: list[str] = []
    complete = []
    incomplete = 0
    for index, (name, files) in enumerate(samples):
        gone = []
        for kind, path in files:
            folder = path.parent
            if folder not in there:
                there[folder] = file_names(folder, path.suffix)
            if path.name not in there[folder]:
                gone.append(f'{kind} of {name} ({path})')
        missing += gone
        if gone:
            incomplete += 1
        else:
            complete.append(index)
    if missing and not skip:
        more = f', and {len(missing) - NAMED} more' if len(missing) > NAMED else ''
        msg = (
            f'{what}: {len(missing)} files of {incomplete} of {len(samples)} samples are missing: '
            f'{"; ".join(missing[:NAMED])}{more}. Complete the data set, or set skip_missing to '
            'leave these samples out'
        )
        raise DatasetError(msg)
    if not complete:
        msg = f'{what} holds no complete sample'
        raise DatasetError(msg)
    return complete, len(missing)


def read_image(path: Path, dtype: type[np.generic], channels: int) -> NDArray[Any]:
    """
    Pixels of a PNG.

    :param path: of the file.
    :param dtype: uint8 or uint16, as it must be stored.
    :param channels: 1, or 3 for colour.
    :returns: (H, W), or (H, W, 3) in RGB order; a view of the decoder's BGR memory.
    :raises DatasetError: the file is missing, damaged or of another type.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as err:
        msg = f'{path} is missing'
        raise DatasetError(msg) from err
    except OSError as err:
        msg = f'{path} cannot be read: {err}'
        raise DatasetError(msg) from err
    problem = encoded_problem(data) or ('' if data else 'it is empty')
    image = None if problem else cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        msg = f'{path} cannot be decoded as an image: {problem or "it is damaged"}'
        raise DatasetError(msg)
    found = image.shape[2] if image.ndim == 3 else 1
    if image.dtype != dtype or (found < 3) != (channels < 3):
        msg = (
            f'{path} holds {found} channels of {image.dtype}; this data set stores {channels} of '
            f'{np.dtype(dtype).name} there'
        )
        raise DatasetError(msg)
    if channels == 3:
        return image[..., 2::-1]
    return image if image.ndim == 2 else image[..., 0]


def stretched(raw: NDArray[Any], bounds: tuple[float, float]) -> NDArray[np.float32]:
    """
    Raw counts to [0, 1].

    :param raw: (H, W) counts of any linear scale.
    :param bounds: counts that become 0 and 1; a window narrower than one count is widened.
    :returns: (1, H, W) float32.
    """
    low, high = bounds
    image = (raw.astype(np.float64) - low) * (1.0 / max(high - low, MIN_SPAN))
    return np.clip(image, 0.0, 1.0).astype(np.float32)[None]


def stretched_by_percentiles(raw: NDArray[Any]) -> NDArray[np.float32]:
    """
    Thermal frame scaled so that its 2nd and 98th percentile become 0 and 1, clipped.

    :param raw: (H, W) uint8 or uint16.
    :returns: (1, H, W) float32 in [0, 1].
    """
    return stretched(raw, percentile_bounds(raw, LOW, HIGH))


def rgb_planes(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float32]:
    """
    Colour image as float planes, resized bilinearly (half-pixel centres, no antialiasing).

    :param image: (h, w, 3) uint8.
    :param size: (height, width) of the result.
    :returns: (3, height, width) float32 in [0, 1].
    """
    picture: NDArray[Any] = np.ascontiguousarray(image).astype(np.float32) / np.float32(255)
    if picture.shape[:2] != size:
        picture = cv2.resize(picture, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(picture.transpose(2, 0, 1))


def scaled_matrix(
    matrix: NDArray[np.floating],
    old: tuple[int, int],
    new: tuple[int, int],
    *,
    half_pixel: bool,
) -> NDArray[np.float32]:
    """
    Camera matrix of a resized image; always a copy (Q14).

    :param matrix: (3, 3) pixels of the old image.
    :param old: (height, width).
    :param new: (height, width).
    :param half_pixel: move the principal point as resizing with half-pixel centres does,
        c' = (c + 1/2) s - 1/2. False multiplies it by s, as published (Q8).
    """
    result = np.array(matrix, np.float64)
    offset = 0.5 if half_pixel and old != new else 0.0
    for row, (before, after) in enumerate(zip(old[::-1], new[::-1], strict=True)):
        result[row, 2] += offset
        result[row] *= after / before
        result[row, 2] -= offset
    return result.astype(np.float32)


def read_pair(
    files: Mapping[str, Path],
    cameras: tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]],
    depths: tuple[NDArray[np.float32] | None, NDArray[np.float32] | None],
    *,
    half_pixel: bool,
    name: str,
) -> PairSample:
    """
    Sample of a data set whose images are rectified already.

    :param files: paths of 'thermal image' (16 bit) and 'RGB image' (8 bit).
    :param cameras: (3, 3) thermal and RGB matrices in pixels of the stored images, and (4, 4)
        X_rgb = T X_thermal in metres.
    :param depths: (H, W) metres of thermal and RGB camera, 0 where unknown; or None.
    :param half_pixel: see :func:`scaled_matrix`.
    :param name: of the sample.
    :raises DatasetError: an image is missing, damaged or of another type.
    """
    raw = read_image(files['thermal image'], np.uint16, 1)
    colour = read_image(files['RGB image'], np.uint8, 3)
    size: Any = raw.shape
    thermal_camera, rgb_camera, extrinsics = cameras
    thermal_depth, rgb_depth = (None if depth is None else depth[None] for depth in depths)
    return PairSample(
        thermal=stretched_by_percentiles(raw),
        rgb=rgb_planes(colour, size),
        thermal_depth=thermal_depth,
        rgb_depth=rgb_depth,
        thermal_intrinsics=thermal_camera.astype(np.float32),
        rgb_intrinsics=scaled_matrix(rgb_camera, colour.shape[:2], size, half_pixel=half_pixel),
        extrinsics=extrinsics.astype(np.float32),
        name=name,
    )
