# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading of recorded bags: rosbag1, rosbag2 folders, and single MCAP or SQLite files."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rosbags.highlevel import AnyReader
from rosbags.interfaces import ConnectionExtRosbag1, QosDurability, QosReliability
from rosbags.typesys import Stores, get_typestore

from monother_ros.core.errors import BagError

if TYPE_CHECKING:
    from types import TracebackType

    from rosbags.interfaces import Connection
    from rosbags.typesys.store import Typestore
    from typing_extensions import Self

STORAGE = ('.mcap', '.db3', '.bag')
"""Endings of the files that hold messages."""

RENAMED = {'tf/msg/tfMessage': 'tf2_msgs/msg/TFMessage'}
"""ROS 1 types whose name changed while their content did not."""


@dataclass(frozen=True)
class BagTopic:
    """
    One topic of a bag; several connections (publishers) of one name and type are one topic.

    :param name: topic name as recorded.
    :param type: message type as ROS 2 writes it, such as sensor_msgs/msg/Image.
    :param count: number of messages.
    :param reliable: a reliable publisher was recorded, or nothing is known about it.
    :param latched: late subscribers got the last messages (latched, transient local).
    :param depth: history depth to offer, at least 1.
    """

    name: str
    type: str
    count: int
    reliable: bool
    latched: bool
    depth: int


class BagMessage(NamedTuple):
    """One recorded message, still serialised; ``stamp_ns`` is the time it was recorded at."""

    topic: str
    type: str
    stamp_ns: int
    data: bytes


def storage_path(path: str | Path) -> Path:
    """
    Find what rosbags must open for a path that a person gives.

    :param path: a .bag, .mcap or .db3 file, or a rosbag2 folder. A folder without metadata.yaml
        (a recording that was cut off) is accepted where it holds exactly one storage file.
    :raises BagError: nothing there is a bag.
    """
    target = Path(path)
    if not target.exists():
        msg = f'{target} does not exist; give a .bag or .mcap file or a rosbag2 folder'
        raise BagError(msg)
    if target.is_file():
        if target.suffix not in STORAGE:
            msg = f'{target} is not a bag: its name ends in none of {", ".join(STORAGE)}'
            raise BagError(msg)
        return target
    if (target / 'metadata.yaml').exists():
        return target
    files = sorted(f for f in target.iterdir() if f.suffix in STORAGE)
    if len(files) == 1:
        return files[0]
    found = f'{len(files)} storage files' if files else 'no storage file'
    msg = f'folder {target} is not a rosbag2: it has no metadata.yaml and {found}'
    raise BagError(msg)


@contextlib.contextmanager
def _reported(path: Path, doing: str) -> Iterator[None]:
    """
    Turn whatever the bag library raises on bad bytes into a BagError.

    A damaged file surfaces there as one of a dozen exception types (struct, codec, assertion,
    decompression …), so every one of them is taken.
    """
    try:
        yield
    except (BagError, GeneratorExit):
        raise
    except Exception as err:
        detail = str(err) or type(err).__name__
        msg = f'cannot {doing} bag {path}: {detail}; the file may be damaged or cut off'
        raise BagError(msg) from err


def _topic(name: str, msgtype: str, connections: list[Connection]) -> BagTopic:
    """Merge the connections of one topic; unknown quality of service reads as reliable."""
    if not name:
        msg = 'a topic without a name'
        raise ValueError(msg)
    reliable, latched, depths = [], [], [10]
    for connection in connections:
        ext = connection.ext
        if isinstance(ext, ConnectionExtRosbag1):
            latched.append(bool(ext.latching))
            continue
        for qos in ext.offered_qos_profiles:
            reliable.append(qos.reliability is not QosReliability.BEST_EFFORT)
            latched.append(qos.durability is QosDurability.TRANSIENT_LOCAL)
            depths.append(qos.depth)
    return BagTopic(
        name=name,
        type=msgtype,
        count=sum(c.msgcount for c in connections),
        reliable=any(reliable) or not reliable,
        latched=any(latched),
        depth=int(min(max(depths), 1000)),
    )


class BagReader:
    """
    A recorded bag, opened for reading; use it in a ``with`` statement.

    :param path: a .bag, .mcap or .db3 file, or a rosbag2 folder.
    :raises BagError: the path is no bag, or its header or index cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        source = storage_path(path)
        with _reported(self.path, 'open'):
            # SQLite bags carry definitions only since Iron, so Humble's serve for the rest
            self._reader = AnyReader([source], default_typestore=get_typestore(Stores.ROS2_HUMBLE))
            self._reader.open()
        self._open = True
        self.ros1 = not self._reader.is2
        """Whether the messages are serialised as ROS 1 does (else CDR)."""
        try:
            # what its metadata says may be of any type
            with _reported(self.path, 'read the list of topics of'):
                self.topics = self._topics()
                """Every topic, by name; two share a name where it carried two types."""
        except BagError:
            with contextlib.suppress(BagError):
                self.close()
            raise

    def __enter__(self) -> Self:
        """Return the open bag."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file; closing twice is allowed."""
        if self._open:
            self._open = False
            with _reported(self.path, 'close'):
                self._reader.close()

    def _topics(self) -> tuple[BagTopic, ...]:
        """Connections of the bag by topic and type."""
        groups: dict[tuple[str, str], list[Connection]] = {}
        for connection in self._reader.connections:
            key = (connection.topic, self._type(connection))
            groups.setdefault(key, []).append(connection)
        if self.message_count < 0 or self.end_ns < 0:
            msg = f'it says that it holds {self.message_count} messages until {self.end_ns} ns'
            raise ValueError(msg)
        return tuple(_topic(*key, group) for key, group in sorted(groups.items()))

    @staticmethod
    def _type(connection: Connection) -> str:
        """Message type under its ROS 2 name."""
        return RENAMED.get(connection.msgtype, connection.msgtype)

    @property
    def typestore(self) -> Typestore:
        """Message definitions as the bag carries them."""
        return self._reader.typestore

    @property
    def message_count(self) -> int:
        """Number of messages on all topics."""
        return int(self._reader.message_count)

    @property
    def start_ns(self) -> int:
        """Recording time of the first message, nanoseconds since 1970; 0 in an empty bag."""
        return int(self._reader.start_time) if self.message_count else 0

    @property
    def end_ns(self) -> int:
        """Recording time just after the last message in nanoseconds; 0 in an empty bag."""
        return int(self._reader.end_time) if self.message_count else 0

    @property
    def duration(self) -> float:
        """Seconds from the first message to the last one."""
        return max(self.end_ns - self.start_ns, 0) / 1e9

    def check_topics(self, names: Collection[str]) -> None:
        """
        Refuse names that the bag does not have.

        :raises BagError: a name is missing; the message lists the bag's topics.
        """
        have = sorted({t.name for t in self.topics})
        if missing := [n for n in names if n not in have]:
            msg = f'bag {self.path} has no topic {", ".join(missing)}; it has {", ".join(have)}'
            raise BagError(msg)

    def messages(
        self, topics: Collection[str] | None = None, start_ns: int | None = None
    ) -> Iterator[BagMessage]:
        """
        Iterate over the recorded messages in the order of recording.

        :param topics: only these topics; None takes all.
        :param start_ns: leave out what was recorded before this time.
        :raises BagError: a topic is not in the bag, or the content is damaged.
        """
        connections: list[Connection] = []
        if topics is not None:
            self.check_topics(topics)
            connections = [c for c in self._reader.connections if c.topic in topics]
            if not connections:
                return
        with _reported(self.path, 'read'):
            for connection, stamp, data in self._reader.messages(connections, start=start_ns):
                yield BagMessage(connection.topic, self._type(connection), stamp, data)

    def decode(self, message: BagMessage) -> Any:
        """
        Deserialise one message.

        :returns: an object with the fields of the message definition in the bag (ROS 1 camera
            calibrations therefore have K, D, R, P in capitals). Arrays are numpy arrays.
        :raises BagError: the bytes do not match the definition.
        """
        with _reported(self.path, f'deserialise a message on {message.topic} from'):
            return self._reader.deserialize(message.data, self.recorded_name(message.type))

    def recorded_name(self, msgtype: str) -> str:
        """Name under which the bag's own definitions have a type of :attr:`topics`."""
        if msgtype in self.typestore.fielddefs:
            return msgtype
        return next((old for old, new in RENAMED.items() if new == msgtype), msgtype)

    def read(
        self, topics: Collection[str] | None = None, start_ns: int | None = None
    ) -> Iterator[tuple[str, Any, int]]:
        """
        Iterate over the deserialised messages.

        :returns: topic, message, recording time in nanoseconds; see :meth:`decode`.
        :raises BagError: as :meth:`messages` and :meth:`decode`.
        """
        for message in self.messages(topics, start_ns):
            yield message.topic, self.decode(message), message.stamp_ns
