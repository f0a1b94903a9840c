# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Pairs of a thermal and an RGB image with calibration, and depth labels where there are any.

The readers are modules of their own: MS2 (:mod:`.ms2`), ViViD (:mod:`.vivid`), simulated bags and
any bag of a rig (:mod:`.bag_pairs`). All of them give the same :class:`PairSample`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, signature
from itertools import accumulate
from typing import Any, Protocol, get_type_hints, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.errors import DatasetError

NEAR = 0.001
"""Labels at or below this depth in metres are none (spec of MS2 and ViViD evaluation)."""
FAR = 80.0
"""Labels at or above this depth in metres are none."""


@dataclass(frozen=True)
class PairSample:
    """
    One thermal and one RGB image of the same moment, as pinhole cameras without distortion.

    Both images have the same size; labels keep their own. Pixel coordinates are those of pixel
    centres, from 0. Depth is Z along the optical axis of the image's own camera.

    :ivar thermal: (1, H, W) float32 in [0, 1].
    :ivar rgb: (3, H, W) float32 in [0, 1], red green blue, resized to the thermal image's size.
    :ivar thermal_depth: (1, Ht, Wt) float32 metres on the thermal image, 0 where unknown; or None.
    :ivar rgb_depth: (1, Hr, Wr) float32 metres on the RGB image, 0 where unknown; or None.
    :ivar thermal_intrinsics: (3, 3) float32 camera matrix in pixels of ``thermal``.
    :ivar rgb_intrinsics: (3, 3) float32 camera matrix in pixels of ``rgb``.
    :ivar extrinsics: (4, 4) float32, X_rgb = T X_thermal, metres, optical frames.
    :ivar name: of the sample, for people.
    """

    thermal: NDArray[np.float32]
    rgb: NDArray[np.float32]
    thermal_depth: NDArray[np.float32] | None
    rgb_depth: NDArray[np.float32] | None
    thermal_intrinsics: NDArray[np.float32]
    rgb_intrinsics: NDArray[np.float32]
    extrinsics: NDArray[np.float32]
    name: str

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of both images in pixels."""
        return int(self.thermal.shape[1]), int(self.thermal.shape[2])


@runtime_checkable
class PairDataset(Protocol):
    """Pairs that can be read in any order, from any process; the same index, the same bytes."""

    def __len__(self) -> int:
        """Number of pairs."""
        ...

    def __getitem__(self, index: int) -> PairSample:
        """One pair; IndexError beyond the end, DatasetError when it cannot be read."""
        ...


class Joined:
    """
    Several data sets one after the other.

    :param parts: at least one data set.
    :raises DatasetError: there is none.
    """

    def __init__(self, parts: Sequence[PairDataset]) -> None:
        if not parts:
            msg = 'no data set to join; name at least one'
            raise DatasetError(msg)
        self.parts = tuple(parts)
        self._ends = list(accumulate(len(part) for part in self.parts))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> PairSample:
        """Pair number ``index`` of all parts; negative numbers count from the end."""
        index = checked_index(index, len(self))
        part = bisect_right(self._ends, index)
        return self.parts[part][index - (self._ends[part - 1] if part else 0)]


def checked_index(index: int, length: int) -> int:
    """
    Index of a sequence from its start.

    :raises IndexError: it lies outside.
    """
    if not -length <= index < length:
        msg = f'pair {index} of {length}'
        raise IndexError(msg)
    return index % length


def label_mask(depth: NDArray[Any], near: float = NEAR, far: float = FAR) -> NDArray[np.bool_]:
    """
    Pixels that carry a usable label: near < depth < far.

    :param depth: metres, 0 where unknown; any shape.
    """
    return (depth > near) & (depth < far)


def describe(dataset: PairDataset) -> str:
    """One or more lines for people: what a data set holds and what was left out of it."""
    if isinstance(dataset, Joined):
        return '\n'.join(describe(part) for part in dataset.parts)
    text = getattr(dataset, 'summary', None)
    return str(text) if text else f'{len(dataset)} pairs'


def open_dataset(spec: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> PairDataset:
    """
    Open what a recipe names.

    :param spec: a mapping with ``kind`` (ms2, vivid, sim, bag) and the settings of that reader, as
        docs/datasets.md lists them; or a list of such mappings, which are joined.
    :raises DatasetError: the kind or a setting is not known, or files are missing.
    """
    if isinstance(spec, Mapping):
        settings = dict(spec)
        kind = settings.pop('kind', None)
        openers = _openers()
        if not isinstance(kind, str) or kind not in openers:
            msg = f'data set kind {kind!r} is not known; use one of {", ".join(openers)}'
            raise DatasetError(msg)
        return openers[kind](settings)
    if isinstance(spec, str) or not isinstance(spec, Sequence):
        msg = f'{spec!r} is no data set; give a mapping with kind and settings, or a list of such'
        raise DatasetError(msg)
    return Joined([open_dataset(part) for part in spec])


def _checked(reader: type[PairDataset], settings: dict[str, Any]) -> dict[str, Any]:
    """
    Settings that a reader takes, all that it needs among them.

    :raises DatasetError: a name is not known, one is missing, or a value is of another type.
    """
    known = signature(reader).parameters
    name = reader.__name__
    if unknown := [key for key in settings if key not in known]:
        msg = f'setting {", ".join(unknown)} of {name} is not known; there are {", ".join(known)}'
        raise DatasetError(msg)
    needed = [key for key, value in known.items() if value.default is Parameter.empty]
    if missing := [key for key in needed if key not in settings]:
        msg = f'{name} needs the setting {", ".join(missing)}'
        raise DatasetError(msg)
    types = get_type_hints(reader.__init__)  # type: ignore[misc]
    for key, value in settings.items():
        if not isinstance(value, types[key]):
            wanted = getattr(types[key], '__name__', types[key])
            msg = f'setting {key} of {name} is {value!r}; it must be of type {wanted}'
            raise DatasetError(msg)
    return settings


def _openers() -> dict[str, Callable[[dict[str, Any]], PairDataset]]:
    """Openers of all kinds; a reader is imported only when it is used."""

    def ms2(settings: dict[str, Any]) -> PairDataset:
        from monother_ros.learning.ms2 import MS2

        return MS2(**_checked(MS2, settings))

    def vivid(settings: dict[str, Any]) -> PairDataset:
        from monother_ros.learning.vivid import Vivid

        return Vivid(**_checked(Vivid, settings))

    def sim(settings: dict[str, Any]) -> PairDataset:
        from monother_ros.learning.bag_pairs import open_simulated

        return open_simulated(settings)

    def bag(settings: dict[str, Any]) -> PairDataset:
        from monother_ros.learning.bag_pairs import open_rig

        return open_rig(settings)

    return {'ms2': ms2, 'vivid': vivid, 'sim': sim, 'bag': bag}
