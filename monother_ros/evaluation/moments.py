# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Moments of a drive that a report shows: which ones, and all that was recorded of each."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from monother_ros.core.errors import MonotherError
from monother_ros.evaluation.depth_images import fit, metres
from monother_ros.evaluation.metrics import valid_mask
from monother_ros.ros.messages import (
    cloud_fields,
    cloud_xyz,
    intrinsics_from_camera_info,
    message_to_array,
    rgb_array,
    thermal_array,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from monother_ros.core.camera import Intrinsics
    from monother_ros.evaluation.recording import Recording
    from monother_ros.evaluation.summary import FrameFigures, Run

NEAR = 100_000_000
"""Largest difference in ns of the RGB image and the LiDAR scan that are shown with a frame."""

FORWARD_LEFT_UP = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]], np.float64)
"""Turns an optical frame (z forward, x right, y down) into x forward, y left, z up (REP-103)."""


@dataclass
class Moment:
    """
    What was recorded of one frame; None where a message is missing or cannot be read.

    :param frame: its figures; :param label: its condition.
    :param thermal: (H, W) counts; :param rgb: (h, w, 3) uint8 RGB.
    :param depth: (H, W) m; :param truth: (H, W) m, NaN where it does not count.
    :param confidence: (H, W) in 0..1; :param error: (H, W) |p - g| / g, NaN where unknown.
    :param points: (N, 3) m, x forward, y left, z up; :param colour: (N,) confidence of each.
    :param reference: (M, 3) truth or LiDAR in the same frame; :param reference_name: which.
    :param upright: heights are over the ground frame, not over the camera.
    """

    frame: FrameFigures
    label: str
    thermal: NDArray[Any] | None = None
    rgb: NDArray[np.uint8] | None = None
    depth: NDArray[np.float32] | None = None
    truth: NDArray[np.float32] | None = None
    confidence: NDArray[np.float32] | None = None
    error: NDArray[np.float32] | None = None
    points: NDArray[np.float32] | None = None
    colour: NDArray[np.float32] | None = None
    reference: NDArray[np.float32] | None = None
    reference_name: str = ''
    upright: bool = False


def choose(run: Run, most: int = 6) -> list[FrameFigures]:
    """
    Moments spread evenly over the conditions, and over the time within each.

    Nothing is picked by its error. Frames without any depth are passed over.

    :param run: measured run; :param most: number of moments; a few less where the conditions do
        not divide it, and one of every n-th condition where there are more.
    :returns: in the order of time, at least one.
    """
    groups = list(_by_segment(run).values())
    if len(groups) > most:
        groups = [groups[int((k + 0.5) * len(groups) / most)] for k in range(most)]
    each = max(1, most // len(groups))
    chosen: list[FrameFigures] = []
    for frames in groups:
        places = (np.arange(each) + 0.5) / each * len(frames)
        chosen += [frames[int(p)] for p in sorted(set(places.astype(int)))]
    return sorted(chosen, key=lambda f: f.time)


def best(run: Run, most: int = 3) -> list[FrameFigures]:
    """
    One frame per condition for the wide picture; conditions that differ most come first.

    With truth it is the frame of lowest AbsRel among the richer half in structure; without, the
    frame of the middle structure.

    :param run: measured run; :param most: number of conditions.
    """
    chosen: dict[int, FrameFigures] = {}
    for segment, frames in _by_segment(run).items():
        ranked = sorted(frames, key=lambda f: f.content)
        rich = [f for f in ranked[len(ranked) // 2 :] if 'abs_rel' in f.metrics]
        chosen[segment] = (
            min(rich, key=lambda f: f.metrics['abs_rel']) if rich else ranked[len(ranked) // 2]
        )
    left = list(chosen)
    picked = [left.pop(0)]
    while left and len(picked) < most:
        distances = [min(_difference(run, segment, other) for other in picked) for segment in left]
        picked.append(left.pop(int(np.argmax(distances))))
    return [chosen[segment] for segment in sorted(picked)]


def _by_segment(run: Run) -> dict[int, list[FrameFigures]]:
    """Frames with depth of each condition, in the order of time."""
    groups: dict[int, list[FrameFigures]] = {}
    for frame in sorted(run.frames, key=lambda f: f.time):
        if frame.finite > 0.05:
            groups.setdefault(frame.segment, []).append(frame)
    return groups or {0: sorted(run.frames, key=lambda f: f.time)}


def _difference(run: Run, first: int, second: int) -> int:
    """Number of words by which two conditions differ."""
    a, b = (set(run.segments[s].label.split(', ')) for s in (first, second))
    return len(a ^ b)


def load(
    frame: FrameFigures,
    run: Run,
    recorded: Recording,
    given: Recording,
    transforms: Transforms,
) -> Moment:
    """
    Read everything of one moment.

    :param frame: which; :param run: measured run.
    :param recorded: what the node published; :param given: what it was fed with.
    :param transforms: static transforms of the input.
    """
    moment = Moment(frame, run.segments[frame.segment].label)
    tolerance = {'rgb': NEAR, 'lidar': NEAR}

    def read(bag: Recording, role: str, convert: Callable[[Any], Any]) -> Any:
        stamp = frame.published if bag is recorded else frame.stamp
        try:
            message = bag.at(role, stamp, tolerance.get(role, 0))
            return None if message is None else convert(message)
        except MonotherError as err:
            note = f'{role} could not be read at {frame.time:.1f} s: {err}'
            if note not in run.notes:
                run.notes.append(note)
            return None

    moment.thermal = read(given, 'thermal', thermal_array)
    moment.rgb = read(given, 'rgb', rgb_array)
    moment.depth = read(recorded, 'depth', lambda m: metres(message_to_array(m)))
    moment.confidence = read(recorded, 'confidence', message_to_array)
    truth = None
    if run.match.certain:
        truth = read(given, 'truth', lambda m: metres(message_to_array(m)))
    if moment.depth is not None and truth is not None:
        truth = fit(truth, moment.depth.shape)
        moment.truth = np.where(valid_mask(truth), truth, np.nan).astype(np.float32)
        error = np.abs(moment.depth - moment.truth) / moment.truth
        moment.error = error.astype(np.float32, copy=False)
    _load_clouds(moment, recorded, given, transforms, read)
    return moment


def _load_clouds(
    moment: Moment,
    recorded: Recording,
    given: Recording,
    transforms: Transforms,
    read: Callable[[Recording, str, Callable[[Any], Any]], Any],
) -> None:
    """Fill the clouds of a moment, all of them with x forward, y left, z up."""
    intrinsics = read(recorded, 'depth_info', intrinsics_from_camera_info) or read(
        given, 'thermal_info', intrinsics_from_camera_info
    )
    message = read(recorded, 'points', lambda m: m)
    header = read(recorded, 'depth', lambda m: str(m.header.frame_id))
    frame_id = str(message.header.frame_id) if message is not None else header
    to_base = transforms.to_base(frame_id or '')
    moment.upright = to_base is not None
    turn = FORWARD_LEFT_UP if to_base is None else to_base
    if message is not None:
        names = {str(f.name) for f in message.fields}
        wanted = ('x', 'y', 'z', *(['confidence'] if 'confidence' in names else []))
        values = read(recorded, 'points', lambda m: cloud_fields(m, wanted))
        if values is not None:
            values = values[np.isfinite(values[:, :3]).all(1)]
            moment.points = moved(values[:, :3], turn)
            moment.colour = values[:, 3] if len(wanted) == 4 else None
    elif moment.depth is not None and intrinsics is not None:
        rays = _rays(intrinsics.scaled(moment.depth.shape[1], moment.depth.shape[0]))
        points, known = unprojected(moment.depth, rays)
        moment.points = moved(points, turn)
        if moment.confidence is not None and moment.confidence.shape == moment.depth.shape:
            moment.colour = moment.confidence[known]
    if moment.truth is not None and intrinsics is not None:
        rays = _rays(intrinsics.scaled(moment.truth.shape[1], moment.truth.shape[0]))
        points, _ = unprojected(moment.truth, rays)
        moment.reference, moment.reference_name = moved(points, turn), 'truth'
    elif to_base is not None:
        scan = read(given, 'lidar', lambda m: m)
        lidar = None if scan is None else transforms.to_base(str(scan.header.frame_id))
        if lidar is not None:
            moment.reference, moment.reference_name = moved(cloud_xyz(scan), lidar), 'LiDAR'


@functools.lru_cache(maxsize=2)
def _rays(intrinsics: Intrinsics) -> NDArray[np.float32]:
    """Rays of a camera; the moments of a report share one."""
    return intrinsics.rays()


def unprojected(
    depth: NDArray[np.floating], rays: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """
    Points of a depth image.

    :param depth: (H, W) m; :param rays: (H, W, 2) x/z and y/z.
    :returns: (N, 3) in the optical frame, and the (H, W) mask of the pixels they come from.
    """
    known = np.isfinite(depth) & (depth > 0) & np.isfinite(rays).all(-1)
    z = np.asarray(depth[known], np.float32)
    return np.concatenate([rays[known] * z[:, None], z[:, None]], 1), known


def moved(points: NDArray[np.floating], transform: NDArray[np.float64]) -> NDArray[np.float32]:
    """
    Points in another frame.

    :param points: (N, 3); :param transform: (4, 4).
    """
    return np.asarray(points @ transform[:3, :3].T + transform[:3, 3], np.float32)


class Transforms:
    """
    Static transforms of a bag.

    :param given: bag with /tf_static; without it every question is answered with None.
    """

    def __init__(self, given: Recording) -> None:
        self._parents: dict[str, tuple[str, NDArray[np.float64]]] = {}
        for _, message in given.messages('static'):
            for item in message.transforms:
                t, q = item.transform.translation, item.transform.rotation
                matrix = np.eye(4)
                matrix[:3, :3] = rotation(q.x, q.y, q.z, q.w)
                matrix[:3, 3] = t.x, t.y, t.z
                child = str(item.child_frame_id).lstrip('/')
                self._parents[child] = (str(item.header.frame_id).lstrip('/'), matrix)

    def roots(self) -> set[str]:
        """Frames that are the root of a tree, such as base_link."""
        return {parent for parent, _ in self._parents.values()} - set(self._parents)

    def to_base(self, frame: str) -> NDArray[np.float64] | None:
        """
        Transform from a frame to the root of its tree.

        :param frame: name of a sensor's frame.
        :returns: (4, 4), or None where the frame is not known.
        """
        frame = frame.lstrip('/')
        if frame not in self._parents:
            return None
        matrix = np.eye(4)
        for _ in range(len(self._parents) + 1):
            if frame not in self._parents:
                return matrix
            frame, step = self._parents[frame]
            matrix = step @ matrix
        return None


def rotation(x: float, y: float, z: float, w: float) -> NDArray[np.float64]:
    """
    Rotation matrix of a quaternion, (3, 3); a zero quaternion is no rotation.

    :param x: first of the vector part; :param y: second; :param z: third; :param w: scalar part.
    """
    norm = x * x + y * y + z * z + w * w
    if norm < 1e-12:
        return np.eye(3)
    s = 2.0 / norm
    return np.array(
        [
            [1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)],
            [s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)],
            [s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)],
        ]
    )
