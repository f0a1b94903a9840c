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
from monother_ros.core.camera_file import read_camera_info
from monother_ros.core.errors import CalibrationError, DatasetError, MessageError, ThermalError
from monother_ros.core.pairing import PairMatcher
from monother_ros.core.scale import fit_intrinsics
from monother_ros.core.shutter import ShutterDetector, ShutterState
from monother_ros.core.stats import Counters
from monother_ros.evaluation.recording import header_stamp
from monother_ros.learning.rig_config import RigConfig, as_array, is_file
from monother_ros.ros.bags import BagMessage, BagReader
from monother_ros.ros.messages import intrinsics_from_camera_info, rgb_array, thermal_array
from monother_ros.ros.static_tf import StaticTransforms

_PICTURE = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
_CLOUD = ('sensor_msgs/msg/PointCloud2',)


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
    :raises DatasetError: there is no way to know the calibration, or there is no pair.
    :raises CalibrationError: a calibration cannot be used.
    """
    topics = _topics(reader, config)
    calibration = _cameras(reader, config, topics)
    index = BagIndex(*calibration, topics)
    counters = Counters()
    gate = _ThermalGate(index.thermal, counters, keep=config.keep_shutter)
    admitted: list[tuple[int, int]] = []
    stamps: dict[str, list[int]] = {topic: [] for topic in topics.values()}
    for message in reader.messages(tuple(stamps)):
        stamp = _stamp(reader, message, config.clock)
        number = len(stamps[message.topic])
        stamps[message.topic].append(stamp)
        if message.topic == topics['thermal']:
            counters.add('thermal')
            if gate.admits(reader, message, stamp):
                admitted.append((stamp, number))
        elif message.topic == topics['rgb']:
            counters.add('rgb')
        if progress is not None:
            progress()
    for topic, times in stamps.items():
        if len(times) > 1 and len(set(times)) == 1:
            msg = (
                f'all {len(times)} messages on {topic} of {reader.path} have the stamp '
                f'{times[0]} ns; set clock: recorded'
            )
            raise DatasetError(msg)
    colours = [(stamp, number) for number, stamp in enumerate(stamps[topics['rgb']])]
    found, drops = pair_stamps(admitted, colours, round(config.max_difference * 1e9))
    counts = {**counters.snapshot(), **drops}
    if not found:
        raise DatasetError(_no_pair(reader, config, topics, admitted, colours, counts))
    kept = found[:: config.stride]
    counts['left_out_by_stride'] = len(found) - len(kept)
    if config.max_pairs is not None:
        counts['left_out_by_max_pairs'] = max(len(kept) - config.max_pairs, 0)
        kept = kept[: config.max_pairs]
    index.pairs = _with_labels(kept, stamps, topics, config, counts)
    index.counts = {k: v for k, v in counts.items() if v}
    return index


def pair_stamps(
    thermal: list[tuple[int, int]], rgb: list[tuple[int, int]], slop_ns: int
) -> tuple[list[tuple[int, int, int, int]], dict[str, int]]:
    """
    Pair two recorded streams as :class:`monother_ros.core.pairing.PairMatcher` does.

    A recording is complete: nothing has to be waited for, and stamps are taken in their order,
    however late a driver sent its images.

    :param thermal: stamp in nanoseconds and number of each image, in any order.
    :param rgb: the same.
    :param slop_ns: greatest difference of a pair, inclusive.
    :returns: stamp and number of the thermal and of the RGB image of each pair, in the order of
        time; and how many images of each stream found no partner, by reason.
    """
    events = sorted([(s, 0, n) for s, n in thermal] + [(s, 1, n) for s, n in rgb])
    matcher: PairMatcher[int, int] = PairMatcher(slop_ns, len(events) + 2)
    pairs = []
    for stamp, stream, number in events:
        add = matcher.add_b if stream else matcher.add_a
        pairs += add(stamp, number)
    # an RGB image far in the future ends the waiting of all thermal images
    end = (events[-1][0] if events else 0) + 4 * slop_ns + 1
    pairs += matcher.add_b(end, -1)
    counts = matcher.counters.snapshot()
    counts['b_unmatched'] = counts.get('b_unmatched', 0) + matcher.waiting[1] - 1
    return [(p.stamp_a, p.a, p.stamp_b, p.b) for p in pairs], {
        _reason(k): v for k, v in counts.items()
    }


def _no_pair(
    reader: BagReader,
    config: RigConfig,
    topics: dict[str, str],
    thermal: list[tuple[int, int]],
    rgb: list[tuple[int, int]],
    counts: dict[str, int],
) -> str:
    """Why there is no pair, and what to do."""
    told = ', '.join(f'{v} {k}' for k, v in counts.items() if v) or 'no image'
    start = f'{reader.path} gives no pair of {topics["thermal"]} and {topics["rgb"]} ({told}): '
    if not thermal:
        return start + 'no thermal image can be used; see cameras.md, or set keep_shutter'
    times = np.sort([s for s, _ in rgb])
    stamps = np.asarray([s for s, _ in thermal])
    places = np.searchsorted(times, stamps)
    gaps = [np.abs(stamps - times[np.clip(places + k, 0, len(times) - 1)]).min() for k in (-1, 0)]
    return start + (
        f'the nearest stamps are {min(gaps) / 1e9:.6g} s apart, max_difference is '
        f'{config.max_difference:g} s; raise it, or set clock: recorded where the clocks of the '
        'cameras differ'
    )


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
    kinds = {t.name: t.type for t in reader.topics}
    for role, topic in roles.items():
        allowed = _CLOUD if topic == config.lidar else _PICTURE
        if kinds[topic] not in allowed:
            msg = (
                f'{topic} of {reader.path} is {kinds[topic]}, but {role} needs '
                f'{" or ".join(allowed)}; name another topic'
            )
            raise DatasetError(msg)
    return roles


def _first(reader: BagReader, topic: str) -> Any:
    """First message of a topic, decoded."""
    for message in reader.messages((topic,)):
        return reader.decode(message)
    msg = f'topic {topic} of {reader.path} has no message'
    raise DatasetError(msg)


def _first_image(
    reader: BagReader, topic: str, role: str, height: int
) -> tuple[str, tuple[int, int]]:
    """Frame and size of the first image of a topic that can be read."""
    problem = 'it has no message'
    for message in reader.messages((topic,)):
        image = reader.decode(message)
        size, problem = _size(image, role, height)
        if size is not None:
            return str(image.header.frame_id), size
    msg = f'topic {topic} of {reader.path} holds no {role} image: {problem}'
    raise DatasetError(msg)


def _size(image: Any, role: str, height: int) -> tuple[tuple[int, int] | None, str]:
    """Height and width of an image, or None and why."""
    try:
        picture = thermal_array(image, height) if role == 'thermal' else rgb_array(image)
    except MessageError as err:
        return None, str(err)
    return (picture.shape[0], picture.shape[1]), ''


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
        given = read_camera_info(info) if is_file(info) else _camera(reader, info)
        frame, (height, width) = _first_image(reader, topics[role], role, given.height)
        frames[role] = getattr(config, f'{role}_frame') or frame
        try:
            cameras[role] = fit_intrinsics(given, width, height)
        except CalibrationError as err:
            msg = f'{role} camera of {reader.path}, {info}: {err}'
            raise CalibrationError(msg) from err
    tree = StaticTransforms()
    known: set[str] = set()
    if any(t.name == config.tf for t in reader.topics):
        for _, message, _ in reader.read((config.tf,)):
            tree.add(message)
            for item in message.transforms:
                known |= {str(item.header.frame_id), str(item.child_frame_id)}

    def pose(target: str, source: str, setting: str) -> NDArray[np.float64]:
        """Pose from the static transforms."""
        found = tree.lookup(target, source)
        if found is None:
            msg = (
                f'{config.tf} of {reader.path} does not connect {source!r} with {target!r}; it '
                f'has {", ".join(sorted(known)) or "no frame"}. Give the pose in the setting '
                f'{setting}, or the right names in thermal_frame, rgb_frame, lidar_frame'
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
            cloud = config.lidar_frame or str(_first(reader, config.lidar).header.frame_id)
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
