# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os

import pytest

from monother_ros.doctor import installed as module
from monother_ros.doctor.findings import (
    FAIL,
    INFO,
    OK,
    WARN,
    Finding,
    Section,
    as_json,
    as_text,
    worst,
)
from monother_ros.doctor.installed import gpu_findings, numpy_abi, ros_findings, version_of
from monother_ros.doctor.limits import transport_limits


def by_name(section):
    findings = section.findings if isinstance(section, Section) else section
    return {finding.name: finding for finding in findings}


def test_states_and_texts():
    assert worst([]) == OK
    assert worst([OK, WARN, INFO]) == WARN
    section = Section('A', (Finding('x', OK, 'fine'), Finding('long', FAIL, 'bad', 'mend it')))
    assert section.state == FAIL
    assert as_json([section])['sections'][0]['findings'][1]['advice'] == 'mend it'
    lines = as_text([section]).splitlines()
    assert lines[0] == 'A'
    assert lines[1].split() == ['ok', 'x', 'fine']
    assert lines[3].strip() == '-> mend it'


def test_versions():
    assert version_of('a-distribution-that-is-not-there') == ''
    assert version_of('a-distribution-that-is-not-there', 'numpy')[0].isdigit()


@pytest.mark.parametrize(
    ('text', 'state', 'found'),
    [
        ('# R36 (release), REVISION: 4.3, GCID: 1, BOARD: generic', OK, 'L4T 36.4.3 (JetPack 6)'),
        ('# R35 (release), REVISION: 4.1, GCID: 1', OK, 'L4T 35.4.1 (JetPack 5)'),
        ('# R38 (release), REVISION: 2.0, GCID: 1', OK, 'L4T 38.2.0 (JetPack 7)'),
        ('# R99 (release), REVISION: 1.0', WARN, 'L4T 99.1.0'),
    ],
)
def test_jetson(tmp_path, text, state, found):
    (tmp_path / 'etc').mkdir()
    (tmp_path / 'etc/nv_tegra_release').write_text(text)
    (tmp_path / 'proc/device-tree').mkdir(parents=True)
    (tmp_path / 'proc/device-tree/model').write_bytes(b'NVIDIA Jetson Orin Nano\0')
    finding = module._board(tmp_path)
    assert finding.state == state
    assert finding.found == f'NVIDIA Jetson Orin Nano, {found}'


def test_no_jetson(tmp_path):
    assert module._board(tmp_path) == Finding('board', INFO, 'no Jetson')


def test_memory(tmp_path):
    path = tmp_path / 'meminfo'
    path.write_text('MemTotal: 8388608 kB\nMemFree: 1 kB\nMemAvailable: 4194304 kB\n')
    assert module._memory(path) == Finding('memory', OK, '8.0 GiB, 4.0 GiB available')
    path.write_text('MemTotal: 8388608 kB\nMemAvailable: 104857 kB\n')
    assert module._memory(path).state == WARN
    assert module._memory(tmp_path / 'none').state == INFO


def smi(tmp_path, monkeypatch, script):
    """A program called nvidia-smi."""
    path = tmp_path / 'nvidia-smi'
    path.write_text(f'#!/bin/sh\n{script}\n')
    path.chmod(0o755)
    monkeypatch.setenv('PATH', f'{tmp_path}{os.pathsep}{os.environ["PATH"]}')


def test_gpu(tmp_path, monkeypatch):
    smi(tmp_path, monkeypatch, 'echo "NVIDIA RTX A4000, 550.54.14, 16376, 8.6"')
    found = by_name(gpu_findings())
    assert found['gpu 0'].found == (
        'NVIDIA RTX A4000, driver 550.54.14, 16376 MiB, compute capability 8.6'
    )


def test_driver_that_does_not_answer(tmp_path, monkeypatch):
    smi(tmp_path, monkeypatch, 'echo "Failed to initialize NVML: Driver/library version"; exit 18')
    finding = by_name(gpu_findings())['gpu']
    assert finding.state == FAIL
    assert 'NVML' in finding.found and 'reboot' in finding.advice


def test_modules_of_another_numpy_are_found(tmp_path, monkeypatch):
    (tmp_path / 'old_module.py').write_text(
        'import sys\n'
        'print("A module that was compiled using NumPy 1.x cannot be run", file=sys.stderr)\n'
    )
    (tmp_path / 'crashing_module.py').write_text('import os; os.abort()\n')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    finding = numpy_abi(['old_module', 'crashing_module', 'json', 'not_there'])
    assert finding.state == FAIL
    assert 'old_module, crashing_module cannot work with NumPy' in finding.found
    assert "'numpy<2'" in finding.advice
    assert numpy_abi(['json']).state == OK


def test_ros():
    pytest.importorskip('rclpy')
    found = by_name(ros_findings({'ROS_DISTRO': 'jazzy', 'ROS_DOMAIN_ID': '7'}))
    assert found['distribution'].found.startswith('jazzy, rclpy ')
    assert found['middleware'].found.startswith('rmw_')
    assert found['domain'].state == OK
    found = by_name(ros_findings({'ROS_DISTRO': 'foxy', 'ROS_DOMAIN_ID': '230'}))
    assert found['distribution'].state == WARN
    assert found['domain'].state == WARN


def test_limits(tmp_path):
    (tmp_path / 'dev/shm').mkdir(parents=True)
    (tmp_path / 'proc/sys/net/core').mkdir(parents=True)
    (tmp_path / 'proc/sys/net/ipv4').mkdir(parents=True)
    (tmp_path / 'proc/sys/net/core/rmem_max').write_text('212992\n')
    (tmp_path / 'proc/sys/net/ipv4/ipfrag_high_thresh').write_text('4194304\n')
    (tmp_path / 'proc/sys/net/ipv4/ipfrag_time').write_text('30\n')
    found = by_name(transport_limits({}, tmp_path))
    assert found['fast dds profile'].state == WARN
    assert 'export FASTDDS_DEFAULT_PROFILES_FILE=' in found['fast dds profile'].advice
    assert found['receive buffer'].found == 'net.core.rmem_max is 0.2 MiB'
    assert 'rmem_max=8388608' in found['receive buffer'].advice
    assert 'ipfrag_time=3' in found['ip fragments'].advice
    profile = tmp_path / 'profile.xml'
    gone = by_name(transport_limits({'FASTDDS_DEFAULT_PROFILES_FILE': str(profile)}, tmp_path))
    assert 'does not exist' in gone['fast dds profile'].found
    profile.touch()
    here = by_name(transport_limits({'FASTDDS_DEFAULT_PROFILES_FILE': str(profile)}, tmp_path))
    assert here['fast dds profile'].state == OK
    other = by_name(transport_limits({'RMW_IMPLEMENTATION': 'rmw_zenoh_cpp'}, tmp_path))
    assert other['fast dds profile'].state == INFO


def test_nothing_of_the_machine_is_known(tmp_path):
    found = by_name(transport_limits({}, tmp_path))
    assert [found[name].state for name in ('shared memory', 'receive buffer')] == [INFO, INFO]
