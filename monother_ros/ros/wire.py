# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Message types of the installed ROS, and recorded bytes brought into their wire format."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rosbags.convert.converter import migrate_bytes
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_typestore

if TYPE_CHECKING:
    from rosbags.typesys.store import Typestore

    from monother_ros.ros.bags import BagReader

BASE = {'double': 'float64', 'float': 'float32', 'boolean': 'bool', 'octet': 'byte'}
"""Names of rclpy's field types that differ from those of message definitions."""

PADDING: Any = ('structure_needs_at_least_one_member', (Nodetype.BASE, ('uint8', 0)))
"""The member that a message without fields has on the wire."""

STAMP_END = 12
"""A stamped message's CDR begins with 4 bytes of encapsulation, int32 sec, uint32 nanosec."""


def message_class(msgtype: str) -> Any:
    """
    Python class of a message type.

    :param msgtype: such as sensor_msgs/msg/Image.
    :returns: the rclpy message class, or None where this ROS installation lacks it.
    """
    package, _, name = msgtype.rpartition('/')
    try:
        return getattr(importlib.import_module(package.replace('/', '.')), name, None)
    except ImportError:
        return None


def _field(text: str) -> Any:
    """Field description of rosbags for a field type as rclpy writes it."""
    if match := re.fullmatch(r'sequence<(.*?)(?:, (\d+))?>', text):
        return Nodetype.SEQUENCE, (_field(match[1]), int(match[2] or 0))
    if match := re.fullmatch(r'(.*)\[(\d+)\]', text):
        return Nodetype.ARRAY, (_field(match[1]), int(match[2]))
    if match := re.fullmatch(r'(w?string)<(\d+)>', text):
        return Nodetype.BASE, (match[1], int(match[2]))
    if '/' in text:
        package, _, name = text.rpartition('/')
        return Nodetype.NAME, f'{package.removesuffix("/msg")}/msg/{name}'
    return Nodetype.BASE, (BASE.get(text, text), 0)


def _inner(description: Any) -> Any:
    """Element type of a sequence or array; any other type as it is."""
    kind, value = description
    return value[0] if kind in (Nodetype.SEQUENCE, Nodetype.ARRAY) else description


def _collect(msgtype: str, types: dict[str, Any]) -> None:
    """Add the definitions of an installed type and of all types that it contains."""
    cls = message_class(msgtype)
    if msgtype in types or cls is None:
        return
    fields = [(name, _field(t)) for name, t in cls.get_fields_and_field_types().items()]
    types[msgtype] = ([], fields or [PADDING])
    for _, description in fields:
        kind, value = _inner(description)
        if kind is Nodetype.NAME:
            _collect(value, types)


def installed_typestore(msgtype: str) -> Typestore:
    """
    Definitions of a type and of what it contains, as the installed ROS has them.

    :param msgtype: an installed message type.
    """
    types: dict[str, Any] = {}
    _collect(msgtype, types)
    store = get_typestore(Stores.EMPTY)
    store.register(types)
    return store


def same_layout(first: Typestore, second: Typestore, msgtype: str, other: str = '') -> bool:
    """
    Whether two definitions of a message type put the same bytes on the wire.

    Field names are compared without their case (ROS 1 has K where ROS 2 has k). The ROS 1 header
    differs by its counter, which the conversion to CDR drops, and so counts as the same.

    :param first: definitions of ``msgtype``.
    :param second: definitions of ``other``.
    :param other: name in ``second`` where it differs.
    """
    if msgtype == 'std_msgs/msg/Header':
        return True
    mine = first.fielddefs[msgtype][1] or [PADDING]
    theirs = second.fielddefs[other or msgtype][1] or [PADDING]
    if len(mine) != len(theirs):
        return False
    for (name_a, a), (name_b, b) in zip(mine, theirs, strict=True):
        if name_a.lower() != name_b.lower() or _shape(a) != _shape(b):
            return False
        kind, value = _inner(a)
        if kind is Nodetype.NAME and not same_layout(first, second, value):
            return False
    return True


def _shape(description: Any) -> Any:
    """Field description with the types that are one byte on the wire alike made equal."""
    kind, value = description
    if kind in (Nodetype.SEQUENCE, Nodetype.ARRAY):
        # a bound limits the sender only; an array's length is part of the layout
        return kind, _shape(value[0]), value[1] if kind is Nodetype.ARRAY else 0
    if kind is Nodetype.BASE:
        name = 'uint8' if value[0] in ('char', 'byte', 'octet') else value[0]
        return kind, name
    return kind, value


def cdr_converter(bag: BagReader, msgtype: str) -> Callable[[bytes], bytes]:
    """
    Make the function that turns a recorded message into CDR of the installed type.

    CDR of an unchanged definition passes as it is, ROS 1 bytes are re-serialised directly, and a
    definition that changed between distributions is carried over field by field.

    :param bag: bag whose messages are meant.
    :param msgtype: message type under its ROS 2 name; it must be installed.
    :returns: function from recorded bytes to CDR bytes; raises what rosbags raises on bad bytes.
    """
    target = installed_typestore(msgtype)
    source = bag.typestore
    name = bag.recorded_name(msgtype)
    if same_layout(source, target, name, msgtype):
        if bag.ros1:
            return lambda data: bytes(target.ros1_to_cdr(data, msgtype))
        return bytes
    cache: dict[str, object] = {}
    return lambda data: bytes(
        migrate_bytes(
            source, target, name, msgtype, cache, data, src_is2=not bag.ros1, dst_is2=True
        )
    )


def is_stamped(msgtype: str) -> bool:
    """Whether the installed type begins with a std_msgs/Header."""
    cls = message_class(msgtype)
    fields = list(cls.get_fields_and_field_types().values()) if cls else []
    return bool(fields) and fields[0] == 'std_msgs/Header'


def stamp_of(data: bytes) -> int:
    """Header stamp in nanoseconds of a stamped message's CDR bytes."""
    order = 'little' if data[1] & 1 else 'big'
    seconds = int.from_bytes(data[4:8], order, signed=True)  # type: ignore[arg-type]
    return seconds * 1_000_000_000 + int.from_bytes(data[8:12], order)  # type: ignore[arg-type]


def restamped(data: bytes, stamp_ns: int) -> bytes:
    """
    Copy of a stamped message's CDR bytes with another header stamp.

    :param data: CDR bytes of a type for which :func:`is_stamped` holds.
    :param stamp_ns: new stamp, nanoseconds since 1970.
    """
    order = 'little' if data[1] & 1 else 'big'
    seconds, rest = divmod(stamp_ns, 1_000_000_000)
    head = (
        data[:4]
        + seconds.to_bytes(4, order, signed=True)  # type: ignore[arg-type]
        + rest.to_bytes(4, order)  # type: ignore[arg-type]
    )
    return head + data[STAMP_END:]


def definition(msgtype: str) -> tuple[str, str]:
    """
    Message definition and type hash of an installed type, as a bag stores them.

    The definitions that come with rosbags are taken where they agree with the installed type,
    because they have the constants, too.

    :param msgtype: an installed message type.
    :returns: definition text with all contained types, and the RIHS01 hash.
    """
    store = installed_typestore(msgtype)
    distro = f'ros2_{os.environ.get("ROS_DISTRO", "")}'
    known = get_typestore(Stores(distro) if distro in {s.value for s in Stores} else Stores.LATEST)
    if msgtype in known.fielddefs and same_layout(known, store, msgtype):
        store = known
    text, _ = store.generate_msgdef(msgtype, ros_version=2)
    return text, store.hash_rihs01(msgtype)
