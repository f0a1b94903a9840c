# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The shipped Fast DDS profile is found, valid, and yields to the user's own."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from monother_ros.ros import transport


def test_profile_is_used_unless_the_user_has_one():
    environment: dict[str, str] = {}
    used = transport.use_profile(environment)
    assert used == str(transport.installed_profile())
    assert environment['FASTDDS_DEFAULT_PROFILES_FILE'] == used
    for name in transport.PROFILE_VARIABLES:
        mine = {name: '/mine.xml'}
        assert transport.use_profile(mine) == '/mine.xml'
        assert mine == {name: '/mine.xml'}


def test_profile_carries_a_full_cloud():
    space = '{http://www.eprosima.com}'
    root = ET.parse(transport.installed_profile()).getroot()
    memory = next(
        t
        for t in root.iter(f'{space}transport_descriptor')
        if t.find(f'{space}type').text == 'SHM'
    )
    cloud = 640 * 512 * 6 * 4
    assert int(memory.find(f'{space}segment_size').text) >= 8 * cloud
    assert int(memory.find(f'{space}maxMessageSize').text) >= cloud
    assert [e.text for e in root.iter(f'{space}useBuiltinTransports')] == ['false']
    kinds = {e.text for e in root.iter(f'{space}type')}
    assert kinds == {'SHM', 'UDPv4'}


def test_description_names_the_profile(monkeypatch, tmp_path):
    pytest.importorskip('rclpy')
    monkeypatch.setattr(
        'rclpy.utilities.get_rmw_implementation_identifier', lambda: 'rmw_fastrtps_cpp'
    )
    for name in transport.PROFILE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert '512 KiB' in transport.describe_transport()
    monkeypatch.setenv('FASTDDS_DEFAULT_PROFILES_FILE', str(tmp_path / 'gone.xml'))
    assert 'missing' in transport.describe_transport()
    monkeypatch.setenv('FASTDDS_DEFAULT_PROFILES_FILE', str(transport.installed_profile()))
    assert 'fastdds.xml' in transport.describe_transport()
