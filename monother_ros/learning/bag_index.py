# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""First reading of a bag: calibration, which thermal and RGB image are a pair, and its labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import CalibrationError, DatasetError, MessageError, ThermalError
from monother_ros.core.pairing import PairMatcher
from monother_ros.core.scale import fit_intrinsics
from monother_ros.core.shutter import ShutterDetector, ShutterState
from monother_ros.core.stats import Counters
from monother_ros.evaluation.recording import header_stamp
from monother_ros.learning.rig_config import RigConfig, as_array, is_file, read_camera_yaml
from monother_ros.ros.bags import BagMessage, BagReader
from monother_ros.ros.messages import intrinsics_from_camera_info, rgb_array, thermal_array
from monother_ros.ros.static_tf import StaticTransforms

QUEUE = 200
"""Images that may wait for a partner; offline this costs nothing, and drivers may lag."""


@dataclass(frozen=True)
class PairPlan:
    """
    Places of one pair's messages: numbers among the messages of their topic, -1 for none.

    :param stamp: of the thermal image in nanoseconds.
    """

    stamp: int
    thermal: int
    rgb: int
    thermal_depth: int
    rgb_depth: int


@dataclass
class BagIndex:
    """
    What the first reading found.

    :ivar thermal: camera of the thermal images, at their size.
    :ivar rgb: camera of the RGB images, at their size.
    :ivar extrinsics: (4, 4) X_rgb = T X_thermal.
    :ivar lidar: (4, 4) X_thermal = T X_lidar, or None.
    :ivar topics: topic of each role: thermal, rgb, thermal_depth, rgb_depth.
    :ivar pairs: in the order of time.
    :ivar counts: how many thermal and RGB images there were, and what became of them.
    """

    thermal: Intrinsics
    rgb: Intrinsics
    extrinsics: NDArray[np.float64]
    lidar: NDArray[np.float64] | None
    topics: dict[str, str]
    pairs: list[PairPlan] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


def index_bag(
    reader: BagReader, config: RigConfig, progress: Callable[[], None] | None = None
) -> BagIndex:
    """
    Read a bag once to find its pairs.

    :param reader: open bag.
    :param config: what to take.
    :param progress: called for every message.
    :raises BagError: a topic is missing or the bag is damaged.
    :raises DatasetError: there is no way to know the calibration.
    :raises CalibrationError: a calibration cannot be used.
    """
    topics = _topics(reader, config)
    calibration = _cameras(reader, config, topics)
    index = BagIndex(*calibration, topics)
    counters = Counters()
    matcher: PairMatcher[int, int] = PairMatcher(round(config.max_difference * 1e9), QUEUE)
    gate = _ThermalGate(index.thermal, counters, keep=config.keep_shutter)
    found: list[tuple[int, int, int, int]] = []
    stamps: dict[str, list[int]] = {topic: [] for topic in topics.values()}
    newest = 0
    for message in reader.messages(tuple(stamps)):
        stamp = _stamp(reader, message, config.clock)
        number = len(stamps[message.topic])
        stamps[message.topic].append(stamp)
        pairs = []
        if message.topic == topics['thermal']:
            counters.add('thermal')
            newest = max(newest, stamp)
            if gate.admits(reader, message, stamp):
                pairs = matcher.add_a(stamp, number)
        elif message.topic == topics['rgb']:
            counters.add('rgb')
            newest = max(newest, stamp)
            pairs = matcher.add_b(stamp, number)
        found += [(p.stamp_a, p.a, p.stamp_b, p.b) for p in pairs]
        if progress is not None:
            progress()
    # an RGB image far in the future ends the waiting of all thermal images
    last = matcher.add_b(newest + 4 * matcher.slop_ns + 1_000_000_000, -1)
    found += [(p.stamp_a, p.a, p.stamp_b, p.b) for p in last]
    counts = {**counters.snapshot(), **matcher.counters.snapshot()}
    counts['b_unmatched'] = counts.get('b_unmatched', 0) + matcher.waiting[1] - 1
    kept = found[:: config.stride]
    counts['stride'] = len(found) - len(kept)
    index.pairs = _with_labels(kept, stamps, topics, config, counts)
    index.counts = {_reason(k): v for k, v in counts.items() if v}
    return index


def _reason(key: str) -> str:
    """Name of a counter for people: streams a and b are thermal and RGB."""
    for stream, name in (('a_', 'thermal_'), ('b_', 'rgb_')):
        if key.startswith(stream):
            return name + key[len(stream) :]
    return key


def _topics(reader: BagReader, config: RigConfig) -> dict[str, str]:
    """Topics of the images and labels; a compressed image stands in for a raw one."""
    have = {t.name for t in reader.topics}
    roles = {'thermal': config.thermal, 'rgb': config.rgb}
    for role in ('thermal_depth', 'rgb_depth'):
        topic = getattr(config, role) or config.lidar
        if topic is not None:
            roles[role] = topic
    for role, topic in roles.items():
        if topic not in have and f'{topic}/compressed' in have:
            roles[role] = f'{topic}/compressed'
    reader.check_topics(sorted(set(roles.values())))
    return roles


def _first(reader: BagReader, topic: str) -> Any:
    """First message of a topic, decoded."""
    for message in reader.messages((topic,)):
        return reader.decode(message)
    msg = f'topic {topic} of {reader.path} has no message'
    raise DatasetError(msg)


def _stamp(reader: BagReader, message: BagMessage, clock: str) -> int:
    """Time of a message in nanoseconds."""
    if clock == 'recorded':
        return message.stamp_ns
    return header_stamp(message.data, not reader.ros1)


def _cameras(
    reader: BagReader, config: RigConfig, topics: dict[str, str]
) -> tuple[Intrinsics, Intrinsics, NDArray[np.float64], NDArray[np.float64] | None]:
    """Cameras at the size of their images, pose between them, and of the LiDAR."""
    cameras, frames = {}, {}
    for role, info in (('thermal', config.thermal_info), ('rgb', config.rgb_info)):
        image = _first(reader, topics[role])
        frames[role] = str(image.header.frame_id)
        given = read_camera_yaml(info) if is_file(info) else _camera(reader, info)
        picture = thermal_array(image, given.height) if role == 'thermal' else rgb_array(image)
        try:
            cameras[role] = fit_intrinsics(given, picture.shape[1], picture.shape[0])
        except CalibrationError as err:
            msg = f'{role} camera of {reader.path}: {err}'
            raise CalibrationError(msg) from err
    tree = StaticTransforms()
    if any(t.name == config.tf for t in reader.topics):
        for _, message, _ in reader.read((config.tf,)):
            tree.add(message)

    def pose(target: str, source: str, setting: str) -> NDArray[np.float64]:
        """Pose from the static transforms."""
        found = tree.lookup(target, source)
        if found is None:
            msg = (
                f'{config.tf} of {reader.path} does not connect {source!r} with {target!r}; give '
                f'the 4x4 pose in the setting {setting}'
            )
            raise DatasetError(msg)
        return found

    if config.extrinsics is None:
        extrinsics = pose(frames['rgb'], frames['thermal'], 'extrinsics')
    else:
        extrinsics = as_array(config.extrinsics)
    lidar = None
    if config.lidar is not None and config.lidar in topics.values():
        if config.lidar_extrinsics is None:
            cloud = str(_first(reader, config.lidar).header.frame_id)
            lidar = pose(frames['thermal'], cloud, 'lidar_extrinsics')
        else:
            lidar = as_array(config.lidar_extrinsics)
    return cameras['thermal'], cameras['rgb'], extrinsics, lidar


def _camera(reader: BagReader, topic: str) -> Intrinsics:
    """First usable calibration of a CameraInfo topic."""
    reader.check_topics((topic,))
    problem = 'it has no message'
    for _, message, _ in reader.read((topic,)):
        found, problem = _intrinsics(message)
        if found is not None:
            return found
    msg = f'{topic} of {reader.path} holds no usable calibration: {problem}'
    raise CalibrationError(msg)


def _intrinsics(message: Any) -> tuple[Intrinsics | None, str]:
    """Calibration of a CameraInfo, or None and why."""
    try:
        return intrinsics_from_camera_info(message), ''
    except CalibrationError as err:
        return None, str(err)


class _ThermalGate:
    """Leaves out thermal frames that must not be trained on, and counts why."""

    def __init__(self, camera: Intrinsics, counters: Counters, *, keep: bool) -> None:
        self._camera = camera
        self._counters = counters
        self._keep = keep
        self._detector = ShutterDetector()
        self._last: NDArray[Any] | None = None

    def admits(self, reader: BagReader, message: BagMessage, stamp: int) -> bool:
        """Whether a frame is a picture of its own of the open scene."""
        try:
            raw = thermal_array(reader.decode(message), self._camera.height)
            state = self._detector.update(raw, stamp)
        except (MessageError, ThermalError):
            self._counters.add('thermal_unreadable')
            return False
        if raw.shape != (self._camera.height, self._camera.width):
            self._counters.add('thermal_other_size')
            return False
        if self._keep:
            return True
        if state is not ShutterState.OPEN:
            self._counters.add(f'shutter_{state.value}')
            return False
        # a camera that is slower than its driver repeats pixels under new stamps by habit
        repeated = self._last is not None and np.array_equal(self._last, raw)
        self._last = np.array(raw)
        if repeated:
            self._counters.add('thermal_repeated')
        return not repeated


def _with_labels(
    pairs: list[tuple[int, int, int, int]],
    stamps: dict[str, list[int]],
    topics: dict[str, str],
    config: RigConfig,
    counts: dict[str, int],
) -> list[PairPlan]:
    """Give each image of a pair the label that is nearest to it in time."""
    limit = round(config.max_label_difference * 1e9)
    times = {
        role: np.asarray(stamps[topics[role]], np.int64)
        for role in ('thermal_depth', 'rgb_depth')
        if role in topics
    }
    orders = {role: np.argsort(times[role], kind='stable') for role in times}
    sorted_times = {role: times[role][orders[role]] for role in times}

    def nearest(role: str, stamp: int) -> int:
        """Number of the nearest label, or -1."""
        if role not in times:
            return -1
        ordered = sorted_times[role]
        place = int(np.searchsorted(ordered, stamp))
        near = [p for p in (place - 1, place) if 0 <= p < len(ordered)]
        best = min(near, key=lambda p: abs(int(ordered[p]) - stamp), default=None)
        if best is None or abs(int(ordered[best]) - stamp) > limit:
            counts[f'{role}_missing'] = counts.get(f'{role}_missing', 0) + 1
            return -1
        return int(orders[role][best])

    return [
        PairPlan(s, a, b, nearest('thermal_depth', s), nearest('rgb_depth', t))
        for s, a, t, b in pairs
    ]
