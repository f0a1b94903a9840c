# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several cameras in one launch file: a namespace and topics for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from monother_ros.core.errors import SettingsError

PLACE = '{camera}'
"""Stands for the camera's name in the value of a launch argument."""

HELP = (
    "names of several cameras, for instance 'front,rear': the nodes are started for each of them, "
    f'in its own namespace; {PLACE} in other arguments stands for the name; empty: one camera'
)
"""Description of the launch argument."""


@dataclass(frozen=True)
class Camera:
    """
    One camera of a launch file.

    :param name: as given; empty where there is only one and it has no name.
    :param namespace: of its nodes.
    """

    name: str
    namespace: str

    def filled(self, text: str) -> str:
        """
        Value of a launch argument for this camera.

        :param text: as given, perhaps with ``{camera}``.
        :raises SettingsError: the camera has no name to fill in.
        """
        if PLACE in text and not self.name:
            msg = f'{text!r} has {PLACE}, but no cameras are named; give cameras:=front,rear'
            raise SettingsError(msg)
        return text.replace(PLACE, self.name)

    def folder(self, text: str) -> str:
        """
        Folder of this camera alone: filled, or one of its name below the folder given.

        :param text: as given; an empty one stays empty.
        :raises SettingsError: see :meth:`filled`.
        """
        if not text or not self.name or PLACE in text:
            return self.filled(text)
        return f'{text.rstrip("/")}/{self.name}'


def cameras(namespace: str, names: str, topics: Mapping[str, str]) -> list[Camera]:
    """
    Cameras of a launch.

    :param namespace: of all of them; may be empty.
    :param names: separated by commas; empty for one camera without a name.
    :param topics: value of each launch argument that names a topic.
    :raises SettingsError: a name is not fit for a namespace or there twice, or two cameras would
        share an absolute topic.
    """
    given = [name.strip() for name in names.split(',') if name.strip()]
    if not given:
        return [Camera('', namespace)]
    for name in given:
        plain = name.replace('_', 'a')
        if not (plain.isascii() and plain.isalnum() and not plain[0].isdigit()):
            msg = (
                f'{name!r} cannot be the name of a camera: letters, digits and _ are allowed, the '
                'first one is a letter'
            )
            raise SettingsError(msg)
    if len(set(given)) < len(given):
        msg = f'cameras:={names} names a camera twice'
        raise SettingsError(msg)
    shared = [
        f'{argument}:={topic}'
        for argument, topic in topics.items()
        if topic.startswith('/') and PLACE not in topic
    ]
    if shared and len(given) > 1:
        msg = (
            f'{", ".join(shared)} would be the same topic for all cameras; write {PLACE} where '
            f"the camera's name stands, for instance /{PLACE}/image_raw"
        )
        raise SettingsError(msg)
    base = namespace.rstrip('/')
    return [Camera(name, f'{base}/{name}' if base else name) for name in given]
