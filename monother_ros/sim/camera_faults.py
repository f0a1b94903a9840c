# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A thermal camera that misbehaves by a script: what each image is, and what must come of it.

It drops images, sends them twice or in the wrong order, freezes, closes its shutter, jumps in
level and in time, changes size and encoding, and sends messages that contradict themselves.
Between two faults there are ordinary images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

DEPTH = 'depth'
"""Outcome of an image from which there must be depth; any other outcome is a reason of a drop."""

LATE = 'late: a newer image came before it'
FROZEN = 'shutter: frozen'
FLAT = 'shutter: flat'
JUMP = 'shutter: jump'
BASE = 29_500
"""Counts of the middle of the scene: centikelvin of a mild day."""

SECOND = 1_000_000_000


@dataclass(frozen=True)
class Shot:
    """
    One message of the camera.

    :param fields: of sensor_msgs/Image without its header; data is bytes.
    :param stamp_ns: of its header.
    :param fault: name of the fault that it belongs to; '' for an ordinary image.
    :param outcome: :data:`DEPTH`, or the reason by which the depth node counts it.
    :param restarts: whether the node forgets what it remembered, as time has jumped.
    """

    fields: dict[str, Any]
    stamp_ns: int
    fault: str = ''
    outcome: str = DEPTH
    restarts: bool = False


def panning(width: int, height: int, seed: int = 0) -> Callable[[int], NDArray[np.uint16]]:
    """
    Pictures of a camera that turns slowly over a scene of warm and cold things.

    :param width: of the pictures in pixels.
    :param height: the same.
    :returns: function from the number of a picture to (height, width) counts.
    """
    rng = np.random.default_rng(seed)
    wide = (4 * width, height)
    scene = np.zeros((height, 4 * width), np.float32)
    for octave in range(5):
        knots = rng.normal(0, 1, (3 * 2**octave, 12 * 2**octave)).astype(np.float32)
        scene += cv2.resize(knots, wide, interpolation=cv2.INTER_CUBIC) * np.float32(0.6**octave)
    scene = 400 * scene + np.linspace(-300, 300, height, dtype=np.float32)[:, None]

    def picture(index: int) -> NDArray[np.uint16]:
        noise = np.random.default_rng((seed, index)).normal(0, 4, (height, width))
        start = index % (3 * width)
        counts = BASE + scene[:, start : start + width] + noise
        return np.asarray(np.clip(np.rint(counts), 0, 65535), np.uint16)

    return picture


def message(pixels: NDArray[Any], encoding: str = 'mono16', **fields: Any) -> dict[str, Any]:
    """
    Fields of an image.

    :param pixels: (H, W) or (H, W, C), as the encoding says.
    :param fields: those that shall be otherwise.
    """
    height, width = pixels.shape[:2]
    return {
        'height': height,
        'width': width,
        'encoding': encoding,
        'is_bigendian': int(pixels.dtype.byteorder == '>'),
        'step': pixels.strides[0],
        'data': np.ascontiguousarray(pixels).tobytes(),
        **fields,
    }


class FaultyCamera:
    """
    Writes the script.

    :param picture: function from a number to (H, W) uint16 counts, H and W even.
    :param seed: of the order of faults and of their lengths.
    :param rate: images per second, which stamps follow.
    :param start_ns: stamp of the first image.
    """

    def __init__(
        self,
        picture: Callable[[int], NDArray[np.uint16]],
        seed: int = 0,
        rate: float = 20.0,
        start_ns: int = 1_700_000_000 * SECOND,
    ) -> None:
        self._picture = picture
        self._rng = np.random.default_rng(seed)
        self._period = round(SECOND / rate)
        self._stamp = start_ns
        self._index = 0
        self._level = 0
        self._faults: dict[str, Callable[[], Iterator[Shot]]] = {
            'dropped': self._dropped,
            'twice': self._twice,
            'wrong order': self._wrong_order,
            'frozen': self._frozen,
            'shutter': self._shutter,
            'level jumps': self._level_jumps,
            'time jumps back': self._time_jumps_back,
            'time jumps ahead': self._time_jumps_ahead,
            'one wild stamp': self._wild_stamp,
            'other size': self._other_size,
            'other aspect': self._other_aspect,
            'telemetry rows': self._telemetry,
            'other encoding': self._other_encoding,
            'contradiction': self._contradiction,
        }

    @property
    def faults(self) -> tuple[str, ...]:
        """Names of the faults."""
        return tuple(self._faults)

    def script(self, rounds: int = 1) -> Iterator[Shot]:
        """
        What the camera sends, in order.

        :param rounds: how often each fault comes, in a new order each time.
        :yields: shots; the first ones and the last one are ordinary.
        """
        for _ in range(5):
            yield self._ordinary()
        for _ in range(rounds):
            for name in self._rng.permutation(list(self._faults)):
                yield from self._faults[str(name)]()
                for _ in range(int(self._rng.integers(2, 6))):
                    yield self._ordinary()

    def _next(self) -> NDArray[np.uint16]:
        """Pixels of the next picture, and the time of it."""
        self._index += 1
        self._stamp += self._period
        return np.asarray(self._picture(self._index) + np.uint16(self._level), np.uint16)

    def _ordinary(self) -> Shot:
        return Shot(message(self._next()), self._stamp)

    def _shot(
        self, fields: dict[str, Any], fault: str, outcome: str = DEPTH, *, restarts: bool = False
    ) -> Shot:
        return Shot(fields, self._stamp, fault, outcome, restarts)

    def _some(self, most: int = 4) -> range:
        return range(int(self._rng.integers(1, most + 1)))

    def _dropped(self) -> Iterator[Shot]:
        for _ in self._some(5):
            self._next()
        yield self._shot(message(self._next()), 'dropped')

    def _twice(self) -> Iterator[Shot]:
        for _ in self._some(2):
            fields = message(self._next())
            yield self._shot(fields, 'twice')
            yield self._shot(fields, 'twice')

    def _wrong_order(self) -> Iterator[Shot]:
        early = [
            Shot(message(self._next()), self._stamp, 'wrong order', LATE) for _ in self._some(2)
        ]
        yield self._shot(message(self._next()), 'wrong order')
        yield from early

    def _frozen(self) -> Iterator[Shot]:
        fields = message(self._next())
        yield self._shot(fields, 'frozen')
        for _ in self._some():
            self._stamp += self._period
            yield self._shot(fields, 'frozen', FROZEN)

    def _shutter(self) -> Iterator[Shot]:
        for _ in self._some():
            pixels = self._next()
            noise = self._rng.normal(0, 2, pixels.shape)
            flat = np.asarray(np.rint(BASE + self._level + noise), np.uint16)
            yield self._shot(message(flat), 'shutter', FLAT)

    def _level_jumps(self) -> Iterator[Shot]:
        self._level += 4000 if self._level <= 0 else -4000
        yield self._shot(message(self._next()), 'level jumps', JUMP)

    def _time_jumps_back(self) -> Iterator[Shot]:
        self._stamp -= int(self._rng.integers(5, 100)) * SECOND
        yield self._shot(message(self._next()), 'time jumps back', restarts=True)

    def _time_jumps_ahead(self) -> Iterator[Shot]:
        self._stamp += int(self._rng.integers(5, 10_000)) * SECOND
        yield self._shot(message(self._next()), 'time jumps ahead')

    def _wild_stamp(self) -> Iterator[Shot]:
        usual = self._stamp
        ahead = bool(self._rng.integers(2))
        # the year 2033, or a clock that was never set
        self._stamp = 2_000_000_000 * SECOND if ahead else 0
        yield self._shot(message(self._next()), 'one wild stamp', restarts=not ahead)
        self._stamp = usual
        yield self._shot(message(self._next()), 'one wild stamp', restarts=ahead)

    def _other_size(self) -> Iterator[Shot]:
        for _ in self._some():
            small = np.ascontiguousarray(self._next()[::2, ::2])
            yield self._shot(message(small), 'other size')

    def _other_aspect(self) -> Iterator[Shot]:
        for _ in self._some():
            pixels = self._next()
            cut = np.ascontiguousarray(pixels[: pixels.shape[0] * 3 // 4])
            yield self._shot(message(cut), 'other aspect')

    def _telemetry(self) -> Iterator[Shot]:
        for _ in self._some():
            pixels = self._next()
            rows = self._rng.integers(0, 65536, (2, pixels.shape[1]), np.uint16)
            yield self._shot(message(np.concatenate([rows, pixels])), 'telemetry rows')

    def _other_encoding(self) -> Iterator[Shot]:
        kind = self._rng.integers(6)
        for _ in self._some():
            pixels = self._next()
            grey = np.clip((pixels.astype(np.float32) - BASE + 2000) / 24, 0, 255).astype(np.uint8)
            choices = (
                message(pixels, '16UC1'),
                message(pixels.astype('>u2')),
                message(grey, 'mono8'),
                message(np.repeat(grey[..., None], 3, 2), 'bgr8'),
                # temperatures in degrees Celsius
                message((pixels / 100.0 - 273.15).astype(np.float32), '32FC1'),
                self._padded(pixels),
            )
            yield self._shot(choices[kind], 'other encoding')

    @staticmethod
    def _padded(pixels: NDArray[np.uint16]) -> dict[str, Any]:
        """Rows with bytes after them that belong to no pixel."""
        rows = np.pad(pixels.view(np.uint8), ((0, 0), (0, 6)), constant_values=255)
        return message(pixels, step=rows.shape[1], data=rows.tobytes())

    def _contradiction(self) -> Iterator[Shot]:
        for _ in self._some():
            fields = message(self._next())
            choices = (
                ('truncated', {'data': fields['data'][: len(fields['data']) // 3]}),
                ('step', {'step': 10}),
                ('empty', {'height': 0}),
                ('encoding', {'encoding': 'thermal99'}),
                ('thermal picture', {'encoding': '32SC1', 'width': fields['width'] // 2}),
            )
            cause, change = choices[self._rng.integers(len(choices))]
            yield self._shot({**fields, **change}, 'contradiction', f'unusable image ({cause})')
