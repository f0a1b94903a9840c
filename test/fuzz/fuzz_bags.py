# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Damaged recordings: MCAP, SQLite and ROS 1, their metadata, and the messages in them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from fuzz_harness import Attempt, Entry
from fuzz_values import altered, damaged
from small_bag import IMAGE, PERIOD, START, STORE, image, write_small_bag

from monother_ros.ros.bags import BagReader
from monother_ros.ros.messages import thermal_array

FRAMES = 4


def _read(path: Path) -> None:
    """Everything in a bag, as the player and the evaluation read it."""
    with BagReader(path) as bag:
        assert bag.duration >= 0 and bag.message_count >= 0
        for topic in bag.topics:
            assert topic.name and 0 <= topic.depth <= 1000
        for read, message in enumerate(bag.messages()):
            decoded = bag.decode(message)
            if message.type == IMAGE:
                thermal_array(decoded)
            assert read < 1000


def _alone(good: bytes, path: Path) -> Attempt:
    """Damage one file and read it by its own name."""

    def attempt(rng: np.random.Generator) -> None:
        path.write_bytes(damaged(good, rng))
        _read(path)

    return attempt


def mcap(folder: Path) -> Attempt:
    """An MCAP file without its metadata."""
    write_small_bag(folder / 'good', FRAMES)
    return _alone((folder / 'good' / 'good.mcap').read_bytes(), folder / 'damaged.mcap')


def sqlite(folder: Path) -> Attempt:
    """A rosbag2 of SQLite, its database or its metadata damaged."""
    import yaml
    from rosbags.rosbag2 import StoragePlugin, Writer

    source = folder / 'good'
    with Writer(source, version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        connection = writer.add_connection('/cam', IMAGE, typestore=STORE)
        for index in range(FRAMES):
            data = STORE.serialize_cdr(image(index), IMAGE)
            writer.write(connection, START + index * PERIOD, data)
    files = {p.name: p.read_bytes() for p in source.iterdir()}
    database = next(name for name in files if name.endswith('.db3'))
    target = folder / 'damaged'

    def attempt(rng: np.random.Generator) -> None:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        content = dict(files)
        if rng.random() < 0.5:
            content[database] = damaged(content[database], rng)
        elif rng.random() < 0.5:
            content['metadata.yaml'] = damaged(content['metadata.yaml'], rng)
        else:
            about = altered(yaml.safe_load(content['metadata.yaml']), rng)
            content['metadata.yaml'] = yaml.safe_dump(about).encode()
        for name, data in content.items():
            (target / name).write_bytes(data)
        _read(target)

    return attempt


def ros1(folder: Path) -> Attempt:
    """A bag of ROS 1."""
    from rosbags.rosbag1 import Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS1_NOETIC)
    source = folder / 'good.bag'
    kinds = store.types
    with Writer(source) as writer:
        connection = writer.add_connection('/cam', IMAGE, typestore=store)
        for index in range(FRAMES):
            seconds, rest = divmod(START + index * PERIOD, 10**9)
            header = kinds['std_msgs/msg/Header'](
                index, kinds['builtin_interfaces/msg/Time'](seconds, rest), 'thermal'
            )
            pixels = np.arange(24 * 32 * 2, dtype=np.uint8)
            msg = kinds[IMAGE](header, 24, 32, 'mono16', 0, 64, pixels)
            writer.write(connection, START + index * PERIOD, store.serialize_ros1(msg, IMAGE))
    return _alone(source.read_bytes(), folder / 'damaged.bag')


def recorded_message(folder: Path) -> Attempt:
    """A whole bag in which the bytes of a message are damaged."""
    from monother_ros.ros.newbag import new_bag

    good = STORE.serialize_cdr(image(0), IMAGE)

    def attempt(rng: np.random.Generator) -> None:
        path = folder / 'bag'
        with new_bag(path, overwrite=True) as writer:
            connection = writer.add_connection('/cam', IMAGE, typestore=STORE)
            data = bytes(good)
            # what is not damaged before the pixels is no damage
            head = damaged(data[:64], rng)
            writer.write(connection, START, head + data[64:])
        _read(path)

    return attempt


ENTRIES = (
    Entry('MCAP file', mcap, 500, ('rosbags',)),
    Entry('SQLite bag', sqlite, 400, ('rosbags', 'yaml')),
    Entry('ROS 1 bag', ros1, 400, ('rosbags',)),
    Entry('recorded message', recorded_message, 250, ('rosbags',)),
)
