# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames of a bag with their ground truth: a depth topic, projected LiDAR, or files by stamp."""

from __future__ import annotations

import bisect
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.camera_file import read_camera_info
from monother_ros.core.errors import BagError, CalibrationError, MessageError, SettingsError
from monother_ros.core.frames import ThermalFrame
from monother_ros.core.range_points import RangePoints, sparse_depth
from monother_ros.core.scale import fit_intrinsics
from monother_ros.evaluation.depth_images import metres
from monother_ros.evaluation.evaluate.sources import SourceFrame, SourceOptions
from monother_ros.evaluation.evaluate.truth import TruthFolder, digest, read_pose
from monother_ros.evaluation.recording import INPUT_ROLES, TYPES, Recording, read_segments
from monother_ros.ros.cloud import cloud_xyz
from monother_ros.ros.messages import (
    intrinsics_from_camera_info,
    message_to_array,
    stamp_ns,
    thermal_array,
)
from monother_ros.ros.static_tf import StaticTransforms

if TYPE_CHECKING:
    from monother_ros.core.camera import Intrinsics
    from monother_ros.ros.bags import BagMessage

ROLES = ('thermal', 'thermal_info', 'truth', 'lidar', 'static', 'condition')

WAIT = 2_000_000_000
"""Nanoseconds of recording that a frame waits for what belongs to it."""

POINTS_SLOP = 200_000_000
"""Greatest difference of image and points that are an input, ns: the node's own default."""


@dataclass
class _Waiting:
    """A thermal message that waits for its partners."""

    index: int
    stamp: int
    log: int
    message: BagMessage


class BagSource:
    """
    A recorded bag.

    Messages are read once, in the order of recording; what waits for a partner never spans more
    than two seconds of it, so memory does not grow with the bag.

    :param path: .bag, .mcap or .db3 file, or a rosbag2 folder.
    :param options: topics, calibration, which ground truth.
    :param kind: bag, or sim for a world that was rendered.
    :param name: for tables; None takes that of the file.
    :raises BagError: the bag cannot be read, or lacks what is asked for.
    :raises SettingsError: nothing in the bag can be ground truth.
    """

    curated = False

    def __init__(
        self,
        path: str | Path,
        options: SourceOptions | None = None,
        *,
        kind: str = 'bag',
        name: str | None = None,
    ) -> None:
        """See the class."""
        self.path, self.kind = Path(path), kind
        self.name = name or self.path.resolve().stem
        self.notes: list[str] = []
        self._options = options or SourceOptions()
        self._files: TruthFolder | None = None
        self._slop = round(self._options.slop * 1e9)
        with self._open() as recording:
            if not recording.count('thermal'):
                msg = (
                    f'{path} has no thermal images under a usual name; name their topic with '
                    f'--topic thermal=/its/topic. It holds '
                    f'{", ".join(recording.available) or "nothing"}'
                )
                raise BagError(msg)
            self._count = recording.count('thermal')
            self._role = self._choose_truth(recording)
            if self._role == 'lidar' and self._options.points:
                msg = (
                    f'the points of {path} cannot be the ground truth and an input at once; give '
                    'another ground truth, or --points no'
                )
                raise SettingsError(msg)
            if self._options.points and not recording.count('lidar'):
                msg = (
                    f'{path} has no points of a range sensor under a usual name for a model that '
                    'takes them; name their topic with --topic lidar=/its/topic, or give '
                    '--points no to run without'
                )
                raise SettingsError(msg)
            self._camera = self._calibration(recording)
            self._pose = self._lidar_pose(recording) if self._needs_lidar else None
            self.truth = {
                'truth': f'depth images on {recording.topics.get("truth")}',
                'lidar': f'points on {recording.topics.get("lidar")}, projected',
                'files': f'depth images in {self._options.truth}',
            }[self._role]

    def count(self) -> int:
        """Number of thermal frames."""
        return self._count

    def identity(self) -> str:
        """Digest of the bag's files and of how they are read."""
        chosen = self._options
        return digest(
            [
                self.kind,
                self.path,
                chosen.truth,
                Path(chosen.truth) if self._files else '',
                sorted(chosen.topics.items()),
                chosen.calibration or '',
                chosen.extrinsics or '',
                chosen.slop,
                chosen.points,
                chosen.truth_scale,
            ]
        )

    def frames(self, start: int = 0) -> Iterator[SourceFrame]:
        """
        Read the frames in the order of recording.

        :param start: number of the first one.
        :raises BagError: the bag is damaged.
        """
        with self._open() as recording:
            segments = read_segments(recording)
            logs = [segment.start for segment in segments]
            partners = [r for r in (self._role, 'lidar') if r in self._partners]
            unreadable: Counter[str] = Counter()
            for waiting, found in _joined(recording, partners, start):
                label = segments[max(bisect.bisect_right(logs, waiting.log) - 1, 0)].label
                try:
                    yield self._frame(recording, waiting, found, label)
                except MessageError as err:
                    unreadable[str(err)] += 1
            for reason, count in unreadable.items():
                note = f'{count} thermal images could not be read: {reason}'
                if note not in self.notes:
                    self.notes.append(note)

    @property
    def _needs_lidar(self) -> bool:
        """Whether points are projected, or are an input."""
        return self._role == 'lidar' or self._options.points

    @property
    def _partners(self) -> set[str]:
        """Roles whose messages belong to a frame."""
        wanted = {self._role} if self._role in ('truth', 'lidar') else set()
        return wanted | ({'lidar'} if self._options.points else set())

    def _open(self) -> Recording:
        """Open the bag with its topics by role."""
        chosen = self._options
        topics = {role: topic for role, topic in chosen.topics.items() if role in ROLES}
        if len(topics) < len(chosen.topics):
            unknown = ', '.join(sorted(set(chosen.topics) - set(ROLES)))
            msg = f'--topic {unknown}: no such role; use {", ".join(ROLES)}'
            raise SettingsError(msg)
        roles = {role: INPUT_ROLES[role] for role in ROLES}
        return Recording(self.path, roles, topics, index=False)

    def _choose_truth(self, recording: Recording) -> str:
        """Role that gives the ground truth: truth, lidar or files."""
        asked = self._options.truth
        if asked.startswith('/') and asked in recording.available:
            return self._topic_truth(recording, asked)
        if asked not in ('auto', 'topic', 'lidar'):
            if asked.startswith('/') and not Path(asked).is_dir():
                msg = (
                    f'{asked} is neither a topic of {self.path} nor a folder; the bag holds '
                    f'{", ".join(recording.available)}'
                )
                raise SettingsError(msg)
            self._files = TruthFolder(Path(asked).expanduser(), self._options.truth_scale)
            return 'files'
        if asked in ('auto', 'topic') and recording.count('truth'):
            return 'truth'
        if asked in ('auto', 'lidar') and recording.count('lidar'):
            return 'lidar'
        wanted = {'auto': 'depth topic or LiDAR', 'topic': 'depth topic', 'lidar': 'LiDAR'}[asked]
        msg = (
            f'{self.path} has no {wanted} under a usual name for the ground truth; name it with '
            f'--truth /its/topic, or give a folder of depth images. The bag holds '
            f'{", ".join(recording.available)}'
        )
        raise SettingsError(msg)

    def _topic_truth(self, recording: Recording, topic: str) -> str:
        """Role of a topic given by name, by its type."""
        for role in ('truth', 'lidar'):
            recording.topics[role] = topic
            if recording.kind(role) in TYPES[role]:
                topics = {**self._options.topics, role: topic}
                self._options = replace(self._options, topics=topics)
                return role
        msg = (
            f'{topic} of {self.path} is {recording.kind("lidar")}; ground truth is '
            f'{" or ".join((*TYPES["truth"], *TYPES["lidar"]))}'
        )
        raise SettingsError(msg)

    def _calibration(self, recording: Recording) -> Intrinsics | None:
        """Camera of the thermal images, None where nothing tells it."""
        if self._options.calibration is not None:
            return read_camera_info(self._options.calibration)
        message = next((m for _, m in recording.messages('thermal_info')), None)
        try:
            if message is not None:
                return intrinsics_from_camera_info(message)
            problem = 'it has no camera_info'
        except CalibrationError as err:
            problem = str(err)
        if self._needs_lidar:
            msg = (
                f'{self.path}: LiDAR needs the calibration of the thermal camera, but {problem}; '
                'give it with --calibration FILE.yaml'
            )
            raise CalibrationError(msg)
        self.notes.append(f'The thermal camera is not calibrated: {problem}.')
        return None

    def _lidar_pose(self, recording: Recording) -> NDArray[np.float64]:
        """(4, 4) X_thermal = T X_lidar."""
        if self._options.extrinsics is not None:
            return read_pose(self._options.extrinsics)
        frames = {}
        for role in ('thermal', 'lidar'):
            first = next((m for _, m in recording.messages(role)), None)
            frames[role] = '' if first is None else str(first.header.frame_id)
        tree = StaticTransforms()
        for _, message in recording.messages('static'):
            tree.add(message)
        pose = tree.lookup(frames['thermal'], frames['lidar'])
        if pose is None:
            msg = (
                f'the static transforms of {self.path} do not connect the LiDAR '
                f'{frames["lidar"]!r} with the thermal camera {frames["thermal"]!r}; give the '
                'pose with --extrinsics FILE (4x4, X_thermal = T X_lidar)'
            )
            raise SettingsError(msg)
        return pose

    def _frame(
        self,
        recording: Recording,
        waiting: _Waiting,
        found: dict[str, BagMessage],
        label: str,
    ) -> SourceFrame:
        """Decode a frame and what belongs to it."""
        message = recording.decode(waiting.message)
        expected = None if self._camera is None else self._camera.height
        image = thermal_array(message, expected)
        points = truth = None
        if self._needs_lidar and 'lidar' in found:
            decoded = recording.decode(found['lidar'])
            points = RangePoints(cloud_xyz(decoded), self._pose, stamp_ns(decoded))
        if self._role == 'truth' and 'truth' in found:
            decoded = recording.decode(found['truth'])
            if abs(stamp_ns(decoded) - waiting.stamp) <= self._slop:
                truth = metres(message_to_array(decoded))
        elif self._files is not None:
            truth = self._files.near(waiting.stamp, self._slop)
        elif points is not None and abs(points.stamp_ns - waiting.stamp) <= self._slop:
            truth = self._projected(points, image.shape)
        given = None
        if self._options.points and points is not None:
            given = points if abs(points.stamp_ns - waiting.stamp) <= POINTS_SLOP else None
        name = str(message.header.frame_id)
        frame = ThermalFrame(image, waiting.stamp, name, self._camera, given)
        return SourceFrame(waiting.index, frame, truth, label)

    def _projected(
        self, points: RangePoints, shape: tuple[int, ...]
    ) -> NDArray[np.float32] | None:
        """Points as the thermal camera sees them."""
        if self._camera is None:
            return None
        camera = fit_intrinsics(self._camera, shape[1], shape[0])
        return sparse_depth(points.points, points.extrinsics, camera)


def _joined(
    recording: Recording, partners: list[str], start: int
) -> Iterator[tuple[_Waiting, dict[str, Any]]]:
    """
    Thermal messages with the messages of other roles that are nearest in time.

    A frame is complete when each partner's topic has reached its stamp, at the latest after WAIT.
    """
    waiting: deque[_Waiting] = deque()
    kept: dict[str, deque[tuple[int, BagMessage]]] = {role: deque() for role in partners}
    index = 0

    def complete(item: _Waiting) -> dict[str, Any]:
        """Nearest messages; what no later frame can want is let go."""
        found = {}
        for role, messages in kept.items():
            while len(messages) > 1 and abs(messages[1][0] - item.stamp) <= abs(
                messages[0][0] - item.stamp
            ):
                messages.popleft()
            if messages:
                found[role] = messages[0][1]
        return found

    def ready(item: _Waiting, log: int) -> bool:
        """Whether nothing nearer can come."""
        reached = all(m and m[-1][0] >= item.stamp for m in kept.values())
        return reached or log - item.log > WAIT

    for role, entry, message in recording.stream(['thermal', *partners]):
        if role == 'thermal':
            if index >= start:
                waiting.append(_Waiting(index, entry.stamp, entry.log, message))
            index += 1
        else:
            kept[role].append((entry.stamp, message))
            if not waiting:
                # an image may be recorded later than the points that were taken with it
                while kept[role][0][0] < entry.stamp - WAIT:
                    kept[role].popleft()
        while waiting and ready(waiting[0], entry.log):
            item = waiting.popleft()
            yield item, complete(item)
    while waiting:
        item = waiting.popleft()
        yield item, complete(item)
