# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two bags of one run, what went in and what came out, joined frame by frame while streaming."""

from __future__ import annotations

import struct
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from monother_ros.core.errors import BagError
from monother_ros.core.parsing import parse_json
from monother_ros.ros.bags import BagMessage, BagReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType

    from numpy.typing import NDArray

OUTPUT_ROLES = {
    'depth': ('/depth/image_raw',),
    'depth_info': ('/depth/camera_info',),
    'confidence': ('/confidence',),
    'points': ('/points',),
    'diagnostics': ('/diagnostics',),
}
"""What the depth node publishes: role → topic names, the preferred one first."""

INPUT_ROLES = {
    'thermal': ('/thermal/image_raw', '/thermal/image_raw/compressed'),
    'thermal_info': ('/thermal/camera_info',),
    'rgb': ('/rgb/image_raw', '/rgb/image_raw/compressed'),
    'truth': ('/ground_truth/thermal/depth',),
    'lidar': ('/lidar/points',),
    'static': ('/tf_static',),
    'condition': ('/ground_truth/conditions', '/simulation/condition'),
}
"""What a simulated or real drive holds: role → topic names, the preferred one first."""

_IMAGE = 'sensor_msgs/msg/Image'
_PICTURE = (_IMAGE, 'sensor_msgs/msg/CompressedImage')
_INFO = ('sensor_msgs/msg/CameraInfo',)
_CLOUD = ('sensor_msgs/msg/PointCloud2',)

TYPES = {
    'depth': (_IMAGE,),
    'depth_info': _INFO,
    'confidence': (_IMAGE,),
    'points': _CLOUD,
    'diagnostics': ('diagnostic_msgs/msg/DiagnosticArray',),
    'thermal': _PICTURE,
    'thermal_info': _INFO,
    'rgb': _PICTURE,
    'truth': (_IMAGE,),
    'lidar': _CLOUD,
    'static': ('tf2_msgs/msg/TFMessage',),
    'condition': ('std_msgs/msg/String',),
}
"""Message types that a role may have."""

STAMPED = {'depth', 'depth_info', 'confidence', 'points', 'thermal', 'rgb', 'truth', 'lidar'}
"""Roles whose messages begin with a std_msgs/Header."""

WINDOW = 64
"""Messages that wait for a partner of the same stamp before they are given up."""


RESTAMP_SLOP = 50_000
"""Rounding in ns of stamps that a player has renewed."""


@dataclass(frozen=True)
class Entry:
    """
    One message's place in a bag.

    :param stamp: header stamp in ns.
    :param log: receive time in ns.
    :param repeat: how many messages of the same topic and stamp came before it (a looped bag).
    """

    stamp: int
    log: int
    repeat: int = 0


@dataclass(frozen=True)
class Segment:
    """
    A part of a drive under one condition.

    :param start: receive time in the input bag in ns from which it holds.
    :param label: short text for people, such as 'street, night, fog'.
    :param condition: what the simulator recorded, such as {'weather': 'fog'}.
    """

    start: int
    label: str
    condition: Mapping[str, str] = field(default_factory=dict)


def header_stamp(raw: bytes | memoryview, ros2: bool) -> int:
    """
    Stamp of a serialised message that begins with a header, without deserialising the rest.

    :param raw: serialised message.
    :param ros2: CDR (ROS 2) rather than the ROS 1 format, where a sequence number comes first.
    :returns: ns.
    :raises BagError: the message is too short to hold a header.
    """
    if len(raw) < 12:
        msg = f'a message of {len(raw)} bytes is too short for a header; the bag is damaged'
        raise BagError(msg)
    order = '<' if not ros2 or raw[1] & 1 else '>'
    seconds, nanoseconds = struct.unpack_from(order + ('i' if ros2 else 'I') + 'I', raw, 4)
    return int(seconds) * 10**9 + int(nanoseconds)


class Recording:
    """
    A bag read by roles; topics are found by name or, under a namespace, by the name's end.

    :param path: bag folder, .mcap, .db3 or .bag file.
    :param roles: role → topic names, the preferred one first.
    :param topics: role → topic name that is used as given.
    :param index: note the place of every message first, which `entries` and all that joins or
        seeks by stamp need; reading in order does not.
    :raises BagError: the bag cannot be read; a topic given by name is missing or of another type.
    """

    def __init__(
        self,
        path: str | Path,
        roles: Mapping[str, tuple[str, ...]],
        topics: Mapping[str, str] | None = None,
        *,
        index: bool = True,
    ) -> None:
        self.path = Path(path)
        self._reader = BagReader(self.path)
        self.available = sorted({t.name for t in self._reader.topics})
        self.topics: dict[str, str] = {}
        self.entries: dict[str, list[Entry]] = {}
        try:
            self._resolve(roles, topics or {})
            if index:
                self._index()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the bag."""
        self._reader.close()

    def _resolve(self, roles: Mapping[str, tuple[str, ...]], topics: Mapping[str, str]) -> None:
        """Find the topic of each role; a topic of another type is not taken."""
        types = {topic.name: topic.type for topic in self._reader.topics}
        for role, names in roles.items():
            fitting = [n for n in self.available if types[n] in TYPES.get(role, (types[n],))]
            if role in topics:
                self.topics[role] = self._checked(role, topics[role], types)
                continue
            exact = [name for name in names if name in fitting]
            ending = [topic for name in names for topic in fitting if topic.endswith(name)]
            found = exact or ending
            if found:
                self.topics[role] = found[0]

    def _checked(self, role: str, topic: str, types: Mapping[str, str]) -> str:
        """Topic given by name, refused where it is not there or of a wrong type."""
        if topic not in types:
            msg = (
                f'{self.path} has no topic {topic!r} for {role}; '
                f'it holds {", ".join(self.available) or "nothing"}'
            )
            raise BagError(msg)
        if types[topic] not in TYPES.get(role, (types[topic],)):
            msg = (
                f'{topic} of {self.path} is {types[topic]}, but {role} must be '
                f'{" or ".join(TYPES[role])}'
            )
            raise BagError(msg)
        return topic

    def _index(self) -> None:
        """Note stamp and receive time of every message of a role; nothing is deserialised."""
        self.entries = {role: [] for role in self.topics}
        if not self.topics:
            return
        for role, entry, _ in self.stream(self.topics):
            self.entries[role].append(entry)

    def has(self, role: str) -> bool:
        """
        Tell whether the bag holds at least one message of a role.

        :param role: a key of the roles given at the start.
        """
        return bool(self.entries.get(role))

    def count(self, role: str) -> int:
        """
        Number of messages of a role, as the bag says; 0 where it has no topic.

        :param role: a key of the roles given at the start.
        """
        topic = self.topics.get(role)
        return sum(t.count for t in self._reader.topics if t.name == topic)

    def kind(self, role: str) -> str:
        """
        Message type of a role's topic, '' where it has none.

        :param role: a key of the roles given at the start.
        """
        topic = self.topics.get(role)
        return next((t.type for t in self._reader.topics if t.name == topic), '')

    def stream(self, roles: Iterable[str]) -> Iterator[tuple[str, Entry, BagMessage]]:
        """
        Serialised messages of some roles in the order of their receive times.

        :param roles: roles to read; those without a topic are left out.
        :yields: role, place, message still serialised.
        :raises BagError: the bag is damaged.
        """
        by_topic = {self.topics[role]: role for role in roles if role in self.topics}
        seen: Counter[tuple[str, int]] = Counter()
        if not by_topic:
            return
        for message in self._reader.messages(list(by_topic)):
            role = by_topic[message.topic]
            stamp = self._stamp(role, message)
            yield role, Entry(stamp, message.stamp_ns, seen[role, stamp]), message
            seen[role, stamp] += 1

    def _stamp(self, role: str, message: BagMessage) -> int:
        """Header stamp of a message, or its receive time where it has no header."""
        if role not in STAMPED:
            return message.stamp_ns
        return header_stamp(message.data, ros2=not self._reader.ros1)

    def decode(self, message: BagMessage) -> Any:
        """
        Deserialise one message.

        :param message: as the other methods hand it out.
        :returns: message with the ROS fields as attributes.
        :raises BagError: the message does not fit its type.
        """
        return self._reader.decode(message)

    def messages(self, role: str) -> Iterator[tuple[Entry, Any]]:
        """
        Deserialised messages of one role.

        :param role: role to read; nothing comes where it has no topic.
        :yields: place, message.
        """
        for _, entry, message in self.stream([role]):
            yield entry, self.decode(message)

    def at(self, role: str, stamp: int, tolerance: int = 0) -> Any | None:
        """
        Read the message of a role whose stamp is nearest to a given one.

        :param role: role to read.
        :param stamp: header stamp in ns.
        :param tolerance: largest difference in ns.
        :returns: message, or None where the role has none near enough.
        """
        entries = self.entries.get(role)
        if not entries:
            return None
        entry = min(entries, key=lambda e: abs(e.stamp - stamp))
        if abs(entry.stamp - stamp) > tolerance:
            return None
        for message in self._reader.messages([self.topics[role]], entry.log):
            if self._stamp(role, message) == entry.stamp:
                return self.decode(message)
            if message.stamp_ns > entry.log:
                break
        return None

    def groups(self, roles: Iterable[str]) -> Iterator[tuple[Entry, dict[str, BagMessage]]]:
        """
        Messages of equal stamps, put together while streaming.

        A group is handed out as soon as all the roles that have this stamp are there, or when too
        many others wait; what is held never exceeds WINDOW groups.

        :param roles: roles to read.
        :yields: place of the group's first message, role → message, still serialised.
        """
        chosen = [role for role in roles if role in self.topics]
        expected = Counter(
            (entry.stamp, entry.repeat) for role in chosen for entry in self.entries[role]
        )
        waiting: OrderedDict[tuple[int, int], tuple[Entry, dict[str, BagMessage]]] = OrderedDict()
        for role, entry, message in self.stream(chosen):
            key = (entry.stamp, entry.repeat)
            group = waiting.setdefault(key, (entry, {}))
            group[1][role] = message
            if len(group[1]) >= expected[key]:
                yield waiting.pop(key)
            elif len(waiting) > WINDOW:
                yield waiting.popitem(last=False)[1]
        yield from waiting.values()


class Cursor:
    """
    Groups of a bag asked for by stamp, mostly in rising order; going back rewinds.

    :param recording: bag to read.
    :param roles: roles to join.
    """

    def __init__(self, recording: Recording, roles: Iterable[str]) -> None:
        self._recording = recording
        self._roles = [role for role in roles if role in recording.topics]
        self._known = {e.stamp for role in self._roles for e in recording.entries[role]}
        self._held: OrderedDict[int, dict[str, BagMessage]] = OrderedDict()
        self._groups = recording.groups(self._roles)
        self._passed: set[int] = set()

    def get(self, stamp: int) -> dict[str, BagMessage]:
        """
        Read the group of a stamp.

        :param stamp: header stamp in ns.
        :returns: role → message, still serialised; empty where the bag has nothing of this stamp.
        """
        if stamp not in self._known:
            return {}
        if stamp in self._passed and stamp not in self._held:
            self._groups = self._recording.groups(self._roles)
            self._held.clear()
            self._passed.clear()
        while stamp not in self._held:
            step = next(self._groups, None)
            if step is None:
                return {}
            entry, group = step
            if entry.repeat == 0:
                self._held[entry.stamp] = group
                self._passed.add(entry.stamp)
            if len(self._held) > 8:
                self._held.popitem(last=False)
        return self._held[stamp]


def label_of(condition: Mapping[str, str]) -> str:
    """
    Short text of a simulated condition.

    :param condition: keys scene, time_of_day, weather and others.
    :returns: such as 'street, night, fog'; the clear sky is not named.

    >>> label_of({'scene': 'street', 'time_of_day': 'night', 'weather': 'fog'})
    'street, night, fog'
    """
    first = [condition[k] for k in ('scene', 'time_of_day', 'weather') if condition.get(k)]
    return ', '.join(str(part) for part in first) or 'whole drive'


def read_segments(recording: Recording) -> list[Segment]:
    """
    Parts of a drive as the simulator recorded them: 'night/fog', or JSON with the same words.

    :param recording: input bag.
    :returns: segments in order; a single 'whole drive' where nothing was recorded.
    """
    segments: list[Segment] = []
    for entry, message in recording.messages('condition'):
        text = str(message.data)
        try:
            value = parse_json(text)
        except ValueError:
            value = None
        if isinstance(value, dict):
            condition = {str(k): str(v) for k, v in value.items()}
            label = label_of(condition)
        else:
            words = [word.strip() for word in text.split('/')]
            condition, label = {}, ', '.join(words)[:60] or 'whole drive'
        if not segments or segments[-1].label != label:
            segments.append(Segment(entry.log, label, condition))
    return segments or [Segment(0, 'whole drive')]


@dataclass(frozen=True)
class Match:
    """
    Which output frame belongs to which input frame.

    :param pairs: output stamp → input stamp in ns.
    :param offset: output - input in ns; 0 where the stamps were kept.
    :param certain: no other offset fits as well.
    """

    pairs: dict[int, int]
    offset: int = 0
    certain: bool = True


def match_stamps(out: list[int], given: list[int]) -> Match:
    """
    Pair output stamps with input stamps.

    Equal stamps are pairs. Where hardly any are equal, the player has stamped the frames anew:
    then the constant offset that pairs most frames is searched. An evenly stamped input fits at
    several offsets; the match is then not certain.

    :param out: output stamps in ns.
    :param given: input stamps in ns.
    """
    known = set(given)
    equal = {s: s for s in out if s in known}
    if len(equal) * 2 >= len(set(out)) or not out:
        return Match(equal)
    ordered = np.array(sorted(known), np.int64)
    wanted = np.array(sorted(set(out)), np.int64)
    fits = []
    for candidate in wanted[0] - ordered[:600]:
        pairs = _pairs(wanted - candidate, ordered)
        fits.append((len(pairs), int(candidate), pairs))
    fits.sort(key=lambda fit: -fit[0])
    count, offset, best = fits[0]
    if count <= max(len(equal), 0.5 * len(wanted)) or count < 3:
        return Match(equal)
    certain = len(fits) < 2 or fits[1][0] < 0.8 * count
    return Match({s + offset: t for s, t in best.items()}, offset, certain)


def _pairs(wanted: NDArray[np.int64], ordered: NDArray[np.int64]) -> dict[int, int]:
    """Nearest of the ordered stamps for each wanted one, at most RESTAMP_SLOP away."""
    place = np.clip(np.searchsorted(ordered, wanted), 1, max(len(ordered) - 1, 1))
    before, after = ordered[place - 1], ordered[np.minimum(place, len(ordered) - 1)]
    nearest = np.where(wanted - before <= after - wanted, before, after)
    near = np.abs(nearest - wanted) <= RESTAMP_SLOP
    return dict(zip(wanted[near].tolist(), nearest[near].tolist(), strict=True))
