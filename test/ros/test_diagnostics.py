# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the node's state is judged to be, and how it is packed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monother_ros.ros.diagnostics import (
    ERROR,
    OK,
    WARN,
    DepthFacts,
    Health,
    InputFacts,
    Throttle,
    assess_depth,
    assess_input,
    diagnostic_array,
    stamp_problem,
)

GOOD = InputFacts('/thermal/image_raw', 'thermal_reliability', 100, 30.0, 0.03, 1)


def test_running_camera_is_ok():
    health = assess_input(GOOD, 2.0, 30.0)
    assert (health.level, health.message) == (OK, '30.0 Hz')
    assert health.values['received'] == '100' and health.values['publishers'] == '1'


@pytest.mark.parametrize('changes', [{'received': 0}, {'received': 2, 'lost_share': 0.9}])
def test_silence_under_a_matched_publisher_brings_the_advice(changes):
    health = assess_input(replace(GOOD, rate=0.0, silence=5.0, **changes), 2.0)
    assert health.message.startswith('nothing arrives on /thermal/image_raw')
    assert health.level == ERROR
    for words in ('512 KiB', 'FASTDDS_DEFAULT_PROFILES_FILE', 'fastdds.xml', 'reliable'):
        assert words in health.message
    assert 'thermal_reliability' in health.message


@pytest.mark.parametrize(
    ('changes', 'level', 'words'),
    [
        ({'publishers': 0, 'received': 0, 'silence': 5.0}, WARN, 'nobody publishes'),
        ({'received': 0, 'silence': 0.5}, OK, 'waiting'),
        ({'silence': 4.2}, ERROR, 'for 4.2 s: the camera has stopped'),
        ({'rate': 20.0}, WARN, '20.0 Hz instead of 30 Hz'),
        ({'lost_share': 0.4}, WARN, '40 % of the images are lost on the way: '),
        ({'lost_share': 0.01}, OK, '30.0 Hz'),
        ({'problems': ('K is zero',)}, WARN, 'K is zero'),
        (
            {'unmatched': 1, 'incompatible': 'reliability', 'received': 0},
            ERROR,
            'does not match its publisher (reliability); set the parameter thermal_reliability',
        ),
    ],
)
def test_each_trouble_of_an_input_has_its_sentence(changes, level, words):
    health = assess_input(replace(GOOD, **changes), 2.0, 30.0)
    assert health.level == level
    assert words in health.message


@pytest.mark.parametrize(
    ('facts', 'level', 'words'),
    [
        (DepthFacts('active'), OK, 'running'),
        (DepthFacts('active', idle=True), OK, 'nobody subscribes'),
        (DepthFacts('active', shutter='shutter: frozen'), OK, 'for the moment: shutter: frozen'),
        (DepthFacts('inactive'), WARN, 'inactive'),
        (DepthFacts('unconfigured', problem='no such bundle'), ERROR, 'no such bundle'),
        (DepthFacts('active', failure='engine failed'), ERROR, 'engine failed'),
        (DepthFacts('active', replaced_share=0.4), WARN, '40 % of the images'),
        (DepthFacts('active', replaced_share=0.05), OK, 'running'),
    ],
)
def test_each_state_of_the_frame_path_has_its_sentence(facts, level, words):
    health = assess_depth(facts)
    assert health.level == level
    assert words in health.message


def test_stamps_of_another_clock_are_told():
    assert stamp_problem(0.05) is None and stamp_problem(None) is None
    assert 'use_sim_time' in stamp_problem(86400.0)


def test_array_is_what_monitors_expect():
    pytest.importorskip('diagnostic_msgs')
    from builtin_interfaces.msg import Time

    parts = {'depth': Health(WARN, 'slow', {'rate': '3'}), 'engine': Health(OK, 'fine')}
    message = diagnostic_array('/front/depth_node', 'boson', parts, Time(sec=5))
    assert message.header.stamp.sec == 5
    names = [status.name for status in message.status]
    assert names == ['front/depth_node: depth', 'front/depth_node: engine']
    status = message.status[0]
    assert (status.level, status.message, status.hardware_id) == (b'\x01', 'slow', 'boson')
    assert [(v.key, v.value) for v in status.values] == [('rate', '3')]


def test_throttle_lets_a_text_through_once_per_period():
    throttle = Throttle(60.0)
    assert throttle('a') and not throttle('a') and throttle('b')
    assert Throttle(0.0)('a')
