# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What camera topics say, judged; :mod:`monother_ros.doctor.topics` listens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import CalibrationError
from monother_ros.core.scale import fit_intrinsics
from monother_ros.doctor.findings import FAIL, OK, WARN, Finding
from monother_ros.ros.transport import DEFAULT_SEGMENT

THERMAL = ('mono16', '16UC1', 'mono8', '8UC1')
COLOUR = ('rgb8', 'bgr8', 'rgba8', 'bgra8')

OLD = 1.0
"""Seconds that a stamp may be behind the clock."""

AHEAD = 0.05
"""Seconds that a stamp may be ahead of the clock."""

UNEVEN = 3.0
"""Longest gap between two stamps, in median gaps."""


@dataclass
class Seen:
    """
    What was received on a topic.

    :param topic: full name.
    :param kind: 'Image', 'CompressedImage' or 'CameraInfo'.
    :param publishers: reliability, durability and node of each, as text.
    :param stamps: of the messages, seconds.
    :param arrivals: by the node's clock, seconds, as many.
    :param encodings: in the order in which they first came.
    :param sizes: (width, height) that came; not known for compressed images.
    :param frames: frame ids that came.
    :param largest: bytes of the largest message.
    :param calibration: last CameraInfo as intrinsics; None where it cannot be used.
    :param problem: why not.
    """

    topic: str
    kind: str
    publishers: list[tuple[str, str, str]] = field(default_factory=list)
    stamps: list[float] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    encodings: list[str] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    frames: list[str] = field(default_factory=list)
    largest: int = 0
    calibration: Intrinsics | None = None
    problem: str = ''

    def note(self, values: list[Any], value: Any) -> None:
        """Keep a value that has not come before; the first eight are enough."""
        if value not in values and len(values) < 8:
            values.append(value)


def judge_topic(seen: Seen, seconds: float) -> Finding:
    """
    One topic in one line.

    :param seen: what was received.
    :param seconds: for how long it was listened to.
    """
    names = ', '.join(sorted({node for _, _, node in seen.publishers})) or 'nobody'
    if not seen.stamps:
        return Finding(seen.topic, *_silent(seen, names), values=_values(seen, None))
    problems: list[tuple[str, str, str]] = []
    rate = _rate(seen)
    told = [seen.kind]
    told += ['/'.join(seen.encodings)] if seen.encodings else []
    told += [' and '.join(f'{w}x{h}' for w, h in seen.sizes)] if seen.sizes else []
    told.append(f'{rate:.1f} Hz' if rate else f'{len(seen.stamps)} messages in {seconds:g} s')
    told.append(f'by {names}')
    problems += _encoding(seen) + _stamps(seen) + _sizes(seen)
    if seen.kind == 'CameraInfo' and seen.problem:
        advice = "calibrate the camera and set the driver's camera_info_url; see docs/cameras.md"
        problems.append((FAIL, seen.problem, advice))
    if any(reliability == 'best_effort' for reliability, _, _ in seen.publishers):
        told.append('best effort')
    state = OK if not problems else FAIL if any(p[0] == FAIL for p in problems) else WARN
    found = '; '.join([', '.join(told), *(text for _, text, _ in problems)])
    advice = '; '.join(dict.fromkeys(text for _, _, text in problems if text))
    return Finding(seen.topic, state, found, advice, _values(seen, rate))


def judge_calibration(image: Seen, info: Seen | None) -> Finding:
    """
    Whether the calibration of a camera fits its images.

    :param image: topic of images whose size is known.
    :param info: its CameraInfo; None where there is no such topic.
    """
    name = f'calibration of {image.topic}'
    if info is None:
        advice = 'the driver must publish camera_info beside it, or remap; see docs/cameras.md'
        return Finding(name, WARN, 'no camera_info beside it: no point cloud', advice)
    if info.calibration is None:
        found = info.problem or f'nothing came on {info.topic}'
        return Finding(
            name, WARN, found, 'see docs/cameras.md; without it there is no point cloud'
        )
    given, (width, height) = info.calibration, image.sizes[-1]
    try:
        fit_intrinsics(given, width, height)
    except CalibrationError as err:
        return Finding(name, FAIL, str(err), 'calibrate at the size of the images')
    view = 2 * np.degrees(np.arctan(given.width / 2 / given.fx))
    found = f'{given.width}x{given.height}, {view:.0f} degrees wide'
    off = max(abs(given.cx / given.width - 0.5), abs(given.cy / given.height - 0.5))
    odd = []
    if off > 0.15:
        odd.append(f'the principal point is {off:.0%} of the image from its middle')
    if not 0.8 < given.fx / given.fy < 1.25:
        odd.append(f'fx and fy differ much ({given.fx:.1f}, {given.fy:.1f} px)')
    if not 5 < view < 170:
        odd.append('such a lens is rare')
    if image.frames and info.frames and image.frames[-1] != info.frames[-1]:
        odd.append(f'frame ids differ: {image.frames[-1]!r} and {info.frames[-1]!r}')
    if (given.width, given.height) != (width, height):
        odd.append(f'images are {width}x{height}, so it is scaled')
    if odd:
        return Finding(name, WARN, f'{found}; {"; ".join(odd)}', 'check the calibration file')
    return Finding(name, OK, found)


def _silent(seen: Seen, names: str) -> tuple[str, str, str]:
    """State, text and advice of a topic on which nothing came."""
    if not seen.publishers:
        return WARN, f'{seen.kind}, nobody publishes', 'start the camera driver'
    advice = (
        f'is the camera streaming? Best-effort messages above {DEFAULT_SEGMENT // 1024} KiB are '
        'lost without the Fast DDS profile (see Transport), across Docker without --ipc=host'
    )
    return FAIL, f'{seen.kind} by {names}, matched, but nothing came', advice


def _encoding(seen: Seen) -> list[tuple[str, str, str]]:
    problems = []
    if 'thermal' in seen.topic and seen.kind == 'Image':
        wrong = [name for name in seen.encodings if name not in THERMAL]
        if wrong:
            advice = 'set the driver to raw 16 bit counts (mono16); a coloured picture loses them'
            problems.append((FAIL, f'{wrong[0]} is no thermal encoding', advice))
        elif seen.encodings and seen.encodings[0] in ('mono8', '8UC1'):
            advice = '16 bit counts (mono16) work better; the gain of 8 bits changes by itself'
            problems.append((WARN, '8 bit', advice))
    if len(seen.encodings) > 1:
        problems.append((WARN, 'the encoding changes', 'do two drivers publish here?'))
    return problems


def _sizes(seen: Seen) -> list[tuple[str, str, str]]:
    if len(seen.sizes) > 1:
        return [(WARN, 'the size changes', 'do two drivers publish here?')]
    return []


def _stamps(seen: Seen) -> list[tuple[str, str, str]]:
    """Stamps that no synchronisation can work with."""
    stamps, problems = np.asarray(seen.stamps), []
    if not stamps.any():
        return [(FAIL, 'all stamps are 0', 'the driver must stamp its messages')]
    gaps = np.diff(stamps)
    if (gaps < 0).any():
        advice = 'a looped bag or two publishers; the depth node starts anew at each'
        problems.append((WARN, f'stamps go back {int((gaps < 0).sum())} times', advice))
    if (gaps == 0).any():
        problems.append((WARN, 'stamps repeat', 'the driver publishes frames twice'))
    late = float(np.median(np.asarray(seen.arrivals) - stamps))
    if late > OLD:
        advice = 'set the clock (chrony, PTP), or use_sim_time with a bag'
        problems.append((WARN, f'stamps are {late:.1f} s old', advice))
    elif late < -AHEAD:
        advice = 'set the clock (chrony, PTP); is the stamp that of another machine?'
        problems.append((WARN, f'stamps are {-late:.2f} s ahead of the clock', advice))
    usual = float(np.median(gaps[gaps > 0])) if (gaps > 0).any() else 0.0
    if usual and gaps.max() > UNEVEN * usual:
        advice = 'messages are lost, or the camera stops; a thermal shutter takes 0.2 to 1 s'
        text = f'a gap of {gaps.max():.2f} s between images that come every {usual:.3f} s'
        problems.append((WARN, text, advice))
    return problems


def _rate(seen: Seen) -> float | None:
    """Messages per second by their arrival."""
    if len(seen.arrivals) < 2 or seen.arrivals[-1] <= seen.arrivals[0]:
        return None
    return (len(seen.arrivals) - 1) / (seen.arrivals[-1] - seen.arrivals[0])


def _values(seen: Seen, rate: float | None) -> dict[str, Any]:
    """Numbers of a topic, as JSON knows them."""
    late = np.asarray(seen.arrivals) - np.asarray(seen.stamps)
    return {
        'kind': seen.kind,
        'messages': len(seen.stamps),
        'rate': rate,
        'encodings': list(seen.encodings),
        'sizes': [list(size) for size in seen.sizes],
        'frames': list(seen.frames),
        'largest': seen.largest,
        'delay': float(np.median(late)) if len(late) else None,
        'publishers': [list(publisher) for publisher in seen.publishers],
    }
