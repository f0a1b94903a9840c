# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Limits of the transport: shared memory, socket buffers, the Fast DDS profile."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from monother_ros.doctor.findings import INFO, OK, WARN, Finding, Section
from monother_ros.ros.transport import chosen_profile, installed_profile, profile_variable

SHARED_MEMORY = 64 * 2**20
"""Bytes of /dev/shm that image topics want; Docker gives 64 MiB unless told otherwise."""

RECEIVE_BUFFER = 8 * 2**20
"""Bytes of net.core.rmem_max that clouds over the network want."""


def transport_limits(
    environment: Mapping[str, str] | None = None, root: Path = Path('/')
) -> Section:
    """
    What limits large messages here.

    :param environment: variables of the process; None for this one's.
    :param root: folder that holds dev and proc.
    """
    variables = dict(os.environ if environment is None else environment)
    findings = (_profile(variables), _shared_memory(root), _socket(root), _fragments(root))
    return Section('Transport', findings)


def _profile(variables: dict[str, str]) -> Finding:
    name = 'fast dds profile'
    rmw = variables.get('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp')
    if 'fastrtps' not in rmw:
        return Finding(name, INFO, f'{rmw} is in use, no profile is needed')
    chosen = chosen_profile(variables)
    if chosen is None:
        shipped = installed_profile() or 'config/fastdds.xml of this package'
        return Finding(
            name,
            WARN,
            'none: best-effort messages above 512 KiB are lost between processes',
            f'export {profile_variable(variables)}={shipped} for camera, depth node and viewers',
        )
    if not Path(chosen).is_file():
        return Finding(name, WARN, f'{chosen} does not exist', 'correct the path of the variable')
    return Finding(name, OK, chosen)


def _shared_memory(root: Path) -> Finding:
    name, path = 'shared memory', root / 'dev/shm'
    try:
        usage = shutil.disk_usage(path)
    except OSError:
        return Finding(name, INFO, f'{path} is not there')
    found = f'{usage.total / 2**20:.0f} MiB in {path}, {usage.free / 2**20:.0f} MiB free'
    values = {'total': usage.total, 'free': usage.free}
    if usage.free < SHARED_MEMORY:
        advice = 'docker: --shm-size=1g or --ipc=host; else remove what died processes left there'
        return Finding(name, WARN, found, advice, values)
    return Finding(name, OK, found, values=values)


def _socket(root: Path) -> Finding:
    name = 'receive buffer'
    size = _number(root / 'proc/sys/net/core/rmem_max')
    if size is None:
        return Finding(name, INFO, 'net.core.rmem_max is not known here')
    found = f'net.core.rmem_max is {size / 2**20:.1f} MiB'
    if size < RECEIVE_BUFFER:
        advice = (
            f'between two machines, clouds lose fragments: sysctl -w net.core.rmem_max='
            f'{RECEIVE_BUFFER}'
        )
        return Finding(name, INFO, found, advice, {'rmem_max': size})
    return Finding(name, OK, found, values={'rmem_max': size})


def _fragments(root: Path) -> Finding:
    name = 'ip fragments'
    high = _number(root / 'proc/sys/net/ipv4/ipfrag_high_thresh')
    seconds = _number(root / 'proc/sys/net/ipv4/ipfrag_time')
    if high is None or seconds is None:
        return Finding(name, INFO, 'net.ipv4.ipfrag_* is not known here')
    found = f'{high / 2**20:.0f} MiB, kept {seconds} s'
    advice = ''
    if seconds > 10:
        advice = (
            'over lossy links (Wi-Fi) lost fragments block the buffer: '
            'sysctl -w net.ipv4.ipfrag_time=3 net.ipv4.ipfrag_high_thresh=134217728'
        )
    return Finding(name, INFO if advice else OK, found, advice)


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
