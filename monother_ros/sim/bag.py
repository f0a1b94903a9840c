# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Simulated drives as rosbag2 folders.

A drive may consist of several segments under different conditions. Frames are rendered in
processes of their own and written in order, so the bytes do not depend on how many there are.
"""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import cv2
from rosbags.rosbag2 import Writer

from monother_ros.core.errors import SimulationError
from monother_ros.ros.newbag import new_bag, offered_qos
from monother_ros.sim import messages
from monother_ros.sim.laps import stay_within
from monother_ros.sim.simulator import EPOCH_NS, SimConfig, Simulator

OFFSETS = {'lidar': -0.0031, 'thermal': 0.0, 'rgb': 0.0073}
"""Seconds by which each sensor measures after the common trigger: no two are simultaneous."""

IMAGE = 'sensor_msgs/msg/Image'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'


class Record(NamedTuple):
    """One serialised message."""

    stamp_ns: int
    topic: str
    data: bytes


@dataclass(frozen=True)
class Drive:
    """
    What to render.

    :param config: scene, seed, sizes, rate; its time of day and weather are those of the first
        segment.
    :param seconds: length of the whole drive.
    :param conditions: (time of day, weather) of each segment; all are equally long. Empty means
        one segment as in ``config``.
    :param compressed: RGB as JPEG on /rgb/image_raw/compressed instead of raw.
    :param part: part of the path that the drive goes to and fro over; see sim/laps.py. None takes
        the whole path.
    :param lidar: whether the LiDAR measures, too.
    :param rgb: whether the RGB camera takes pictures, too.
    :raises SimulationError: the drive is shorter than one frame per segment.
    """

    config: SimConfig
    seconds: float
    conditions: tuple[tuple[str, str], ...] = field(default_factory=tuple)
    compressed: bool = False
    part: tuple[float, float] | None = None
    lidar: bool = True
    rgb: bool = True

    def __post_init__(self) -> None:
        """Refuse an empty drive."""
        if self.frames < len(self.configs):
            msg = (
                f'{self.seconds} s at {self.config.rate} Hz are {self.frames} frames, too few '
                f'for {len(self.configs)} segments; ask for more seconds'
            )
            raise SimulationError(msg)

    @property
    def frames(self) -> int:
        """Number of frames."""
        return round(self.seconds * self.config.rate)

    @property
    def configs(self) -> tuple[SimConfig, ...]:
        """Configuration of each segment."""
        if not self.conditions:
            return (self.config,)
        return tuple(
            replace(self.config, time_of_day=time, weather=weather)
            for time, weather in self.conditions
        )

    def segment(self, index: int) -> int:
        """Segment that a frame belongs to."""
        return index * len(self.configs) // self.frames

    @property
    def topics(self) -> dict[str, str]:
        """Message type of each topic."""
        rgb = (
            {'/rgb/image_raw/compressed': 'sensor_msgs/msg/CompressedImage'}
            if self.compressed
            else {'/rgb/image_raw': IMAGE}
        )
        return {
            '/tf_static': 'tf2_msgs/msg/TFMessage',
            '/ground_truth/conditions': 'std_msgs/msg/String',
            '/thermal/image_raw': IMAGE,
            '/thermal/camera_info': CAMERA_INFO,
            **({**rgb, '/rgb/camera_info': CAMERA_INFO} if self.rgb else {}),
            **({'/lidar/points': 'sensor_msgs/msg/PointCloud2'} if self.lidar else {}),
            '/ground_truth/thermal/depth': IMAGE,
            **({'/ground_truth/rgb/depth': IMAGE} if self.rgb else {}),
        }


class FrameMaker:
    """
    Renders frames of a drive as serialised messages; each process has one.

    :param drive: what to render.
    """

    def __init__(self, drive: Drive) -> None:
        self._drive = drive
        self._simulators: dict[int, Simulator] = {}

    def simulator(self, segment: int) -> Simulator:
        """World under the conditions of a segment; the last two are kept."""
        if segment not in self._simulators:
            for old in sorted(self._simulators)[:-1]:
                del self._simulators[old]
            simulator = Simulator(self._drive.configs[segment])
            if self._drive.part is not None:
                stay_within(simulator.world, self._drive.part, simulator.config.seed)
            self._simulators[segment] = simulator
        return self._simulators[segment]

    def __call__(self, index: int) -> list[Record]:
        """
        Messages of one frame, in the order of their stamps.

        :param index: number of the frame from 0.
        """
        drive = self._drive
        segment = drive.segment(index)
        simulator = self.simulator(segment)
        rig = simulator.rig
        # one frame late: /tf_static is the first message, and no sensor measures before t = 0
        time = (index + 1) / drive.config.rate
        records = []
        if index == 0:
            static = messages.static_transforms(rig, EPOCH_NS)
            records.append(Record(EPOCH_NS, '/tf_static', static))
        if index == 0 or drive.segment(index - 1) != segment:
            config = drive.configs[segment]
            start = EPOCH_NS + round(max(time - 0.01, 0.0) * 1e9)
            content = f'{config.time_of_day}/{config.weather}'
            records.append(Record(start, '/ground_truth/conditions', messages.text(content)))
        for sensor in sorted(OFFSETS, key=OFFSETS.__getitem__):
            if not getattr(drive, sensor, True):
                continue
            frame = simulator.frame(time + OFFSETS[sensor], {sensor})
            stamp = frame.stamp_ns
            if sensor == 'lidar':
                assert frame.points is not None
                data = messages.cloud(frame.points, stamp, messages.LIDAR_FRAME)
                records.append(Record(stamp, '/lidar/points', data))
                continue
            if sensor == 'thermal':
                assert frame.thermal is not None
                name, intrinsics, depth = messages.THERMAL_FRAME, rig.thermal, frame.thermal_depth
                picture = messages.image(frame.thermal, 'mono16', stamp, name)
                topic = '/thermal/image_raw'
            else:
                assert frame.rgb is not None
                name, intrinsics, depth = messages.RGB_FRAME, rig.rgb, frame.rgb_depth
                if drive.compressed:
                    topic = '/rgb/image_raw/compressed'
                    picture = messages.jpeg(frame.rgb, stamp, name)
                else:
                    topic = '/rgb/image_raw'
                    picture = messages.image(frame.rgb, 'rgb8', stamp, name)
            assert depth is not None
            truth = messages.image(depth, '32FC1', stamp, name)
            records += [
                Record(
                    stamp, f'/{sensor}/camera_info', messages.camera_info(intrinsics, stamp, name)
                ),
                Record(stamp, topic, picture),
                Record(stamp, f'/ground_truth/{sensor}/depth', truth),
            ]
        return records


_maker: FrameMaker | None = None


def _begin_process(drive: Drive) -> None:
    """Prepare a rendering process: Ctrl-C is for the parent alone, one thread is enough."""
    global _maker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    _maker = FrameMaker(drive)


def _make(index: int) -> list[Record]:
    """Render one frame in a rendering process."""
    assert _maker is not None
    return _maker(index)


def _rendered(drive: Drive, workers: int) -> Iterator[list[Record]]:
    """Frames in order; ``workers`` processes render, or this one where it is 1."""
    if workers == 1:
        maker = FrameMaker(drive)
        for index in range(drive.frames):
            yield maker(index)
        return
    # numpy's own threads would compete with the other processes; children read this at import
    names = ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS')
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, '1'))
    pool = ProcessPoolExecutor(workers, get_context('spawn'), _begin_process, (drive,))
    try:
        ahead: deque[Future[list[Record]]] = deque()
        for index in range(drive.frames):
            ahead.append(pool.submit(_make, index))
            if len(ahead) > 3 * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _open_topics(writer: Writer, drive: Drive) -> Callable[[Record], None]:
    """Register the topics; returns the function that writes one message."""
    connections = {
        topic: writer.add_connection(
            topic,
            msgtype,
            typestore=messages.STORE,
            offered_qos_profiles=[
                offered_qos(latched=topic in ('/tf_static', '/ground_truth/conditions'))
            ],
        )
        for topic, msgtype in drive.topics.items()
    }

    def write(record: Record) -> None:
        """Write one message; the log time is its stamp."""
        writer.write(connections[record.topic], record.stamp_ns, record.data)

    return write


def write_drive(
    path: str | Path,
    drive: Drive,
    *,
    workers: int = 0,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """
    Render a drive into a new rosbag2 folder, whole or not at all.

    :param path: folder of the new bag.
    :param drive: what to render.
    :param workers: rendering processes; 0 takes one per core, at most 8. The bytes of the .mcap
        file are the same for every number.
    :param overwrite: replace an existing bag.
    :param progress: called with the number of frames written so far.
    :returns: the folder.
    :raises BagError: the target exists or cannot be written.
    :raises SimulationError: the drive cannot be rendered.
    """
    count = workers or min(len(os.sched_getaffinity(0)), 8)
    count = min(count, drive.frames)
    with new_bag(path, overwrite=overwrite) as writer:
        write = _open_topics(writer, drive)
        for done, records in enumerate(_rendered(drive, count), 1):
            for record in records:
                write(record)
            if progress is not None:
                progress(done)
    return Path(path)
