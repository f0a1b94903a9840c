# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writing of a rosbag2 folder that is there complete or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer

from monother_ros.core.errors import BagError
from monother_ros.core.files import atomic_folder

FOREVER = QosTime(2147483647, 4294967295)
"""How rosbag2 writes a deadline, lifespan or lease that never ends."""


def offered_qos(*, reliable: bool = True, latched: bool = False, depth: int = 10) -> Qos:
    """
    Quality of service of a recorded publisher.

    :param reliable: reliable, else best effort.
    :param latched: transient local, else volatile.
    :param depth: keep-last history depth.
    """
    return Qos(
        QosHistory.KEEP_LAST,
        depth,
        QosReliability.RELIABLE if reliable else QosReliability.BEST_EFFORT,
        QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        FOREVER,
        FOREVER,
        QosLiveliness.AUTOMATIC,
        FOREVER,
        avoid_ros_namespace_conventions=False,
    )


def check_target(path: str | Path, *, overwrite: bool = False) -> Path:
    """
    Refuse to write where something else already is.

    :param path: folder of the new bag.
    :param overwrite: allow to replace a rosbag2 folder; any other folder is refused still.
    :returns: the absolute path.
    :raises BagError: the target exists and may not be replaced.
    """
    target = Path(path).absolute()
    if not target.exists():
        return target
    if target.is_dir():
        if not any(target.iterdir()):
            return target
        if (target / 'metadata.yaml').exists():
            if overwrite:
                return target
            msg = f'{target} already holds a bag; give another folder or --overwrite'
            raise BagError(msg)
    msg = f'{target} exists and is not a bag, so it is not replaced; give another folder'
    raise BagError(msg)


@contextlib.contextmanager
def new_bag(path: str | Path, *, overwrite: bool = False) -> Iterator[Writer]:
    """
    Open a rosbag2 (MCAP) for writing; it appears at its path when the block ends well.

    :param path: folder of the new bag, which is also the name of the .mcap file in it.
    :param overwrite: replace an existing bag.
    :yields: the writer of rosbags; add connections and write serialised messages.
    :raises BagError: the target exists, or the file system refuses; nothing is left behind.
    """
    target = check_target(path, overwrite=overwrite)
    try:
        with atomic_folder(target) as work:
            inner = work / target.name
            with Writer(inner, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
                yield writer
            for file in inner.iterdir():
                file.rename(work / file.name)
            inner.rmdir()
    except OSError as err:
        msg = f'cannot write bag {target}: {err}'
        raise BagError(msg) from err
