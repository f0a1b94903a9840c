# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The Fast DDS profile that carries large images, and what the process uses now."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path

from monother_ros.core.share import share_folders

PROFILE_VARIABLES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
"""Read by Fast DDS 3 (Kilted and later), and by Fast DDS 2."""

FAST_DDS_2 = ('humble', 'iron', 'jazzy')
"""Distributions with Fast DDS 2; Fast DDS 3 warns about its variable."""

DEFAULT_SEGMENT = 512 * 1024
"""Bytes of Fast DDS's shared memory segment where no profile says otherwise."""

ADVICE = (
    'a publisher is matched, but best-effort images above 512 KiB are lost by the '
    'default shared memory of Fast DDS. Set {variable} to {profile} in BOTH '
    "processes, or make camera and node 'reliable' (parameter {parameter})"
)


def share_folder() -> Path | None:
    """
    Folder with the package's config, launch and model files.

    :returns: share/monother_ros of the colcon workspace or of the pip environment, or the
        checkout of an editable installation; None where none of them holds a config folder.
    """
    return next((f for f in share_folders() if (f / 'config' / 'fastdds.xml').is_file()), None)


def installed_profile() -> Path | None:
    """Path of the shipped Fast DDS profile, or None where the package has no share folder."""
    folder = share_folder()
    return None if folder is None else folder / 'config' / 'fastdds.xml'


def chosen_profile(environment: MutableMapping[str, str] | None = None) -> str | None:
    """Profile file that the environment names, or None."""
    variables = os.environ if environment is None else environment
    for name in PROFILE_VARIABLES:
        if variables.get(name):
            return variables[name]
    return None


def profile_variable(environment: MutableMapping[str, str] | None = None) -> str:
    """Name of the variable that this distribution's Fast DDS reads."""
    variables = os.environ if environment is None else environment
    return PROFILE_VARIABLES[variables.get('ROS_DISTRO', '') in FAST_DDS_2]


def use_profile(environment: MutableMapping[str, str] | None = None) -> str | None:
    """
    Point Fast DDS to the shipped profile unless the user has chosen one.

    Must run before rclpy.init of the process (or before a child process starts).

    :param environment: variables to change; those of this process by default.
    :returns: the profile now in use, or None where the shipped one is not found.
    """
    variables = os.environ if environment is None else environment
    chosen = chosen_profile(variables)
    if chosen is not None:
        return chosen
    profile = installed_profile()
    if profile is None:
        return None
    variables[profile_variable(variables)] = str(profile)
    return str(profile)


def describe_transport() -> str:
    """Middleware and profile of this process in one line, for diagnostics and logs."""
    try:
        from rclpy.utilities import get_rmw_implementation_identifier

        middleware = str(get_rmw_implementation_identifier())
    except (ImportError, RuntimeError):
        middleware = os.environ.get('RMW_IMPLEMENTATION', 'unknown')
    if 'fastrtps' not in middleware:
        return middleware
    profile = chosen_profile()
    if profile is None:
        return f'{middleware}, default transports (512 KiB of shared memory)'
    if not Path(profile).is_file():
        return f'{middleware}, profile {profile} is missing: default transports'
    return f'{middleware}, profile {profile}'


def silence_advice(parameter: str) -> str:
    """
    Advice for a topic whose publishers match but whose messages do not arrive.

    :param parameter: name of the node's parameter that chooses the topic's reliability.
    """
    profile = installed_profile() or 'config/fastdds.xml of this package'
    return ADVICE.format(variable=profile_variable(), profile=profile, parameter=parameter)
