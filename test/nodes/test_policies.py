# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which RGB image goes with a thermal one."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy')
from std_msgs.msg import Header

from monother_ros.core.errors import SettingsError
from monother_ros.nodes.policies import make_policy
from monother_ros.ros.messages import set_stamp

MS = 1_000_000


def _message(milliseconds):
    header = Header()
    set_stamp(header, round(milliseconds * MS))
    return SimpleNamespace(header=header, ms=milliseconds)


def _match(policy, milliseconds):
    found = policy.match(_message(milliseconds))
    return None if found is None else found.ms


def test_nearest_of_what_is_here_within_the_slop_inclusive():
    policy = make_policy('nearest', 0.02)
    assert _match(policy, 100) is None
    for ms in (66, 99, 133):
        policy.add_rgb(_message(ms))
    assert [_match(policy, ms) for ms in (100, 117, 150, 153)] == [99, 133, 133, 133]
    assert _match(policy, 154) is None
    assert policy.drops() == {'nearest RGB image too far in time': 1}
    # one RGB image may colour several thermal ones
    assert _match(policy, 100) == 99


def test_only_a_few_images_are_kept():
    policy = make_policy('nearest', 0.001)
    for ms in range(0, 1000, 10):
        policy.add_rgb(_message(ms))
    assert _match(policy, 990) == 990 and _match(policy, 100) is None


def test_a_bag_loop_and_a_reset_forget_the_old_images():
    policy = make_policy('nearest', 10.0)
    policy.add_rgb(_message(90_000))
    policy.add_rgb(_message(10))
    assert policy.drops() == {'stamps went back': 1}
    assert _match(policy, 85_000) is None and _match(policy, 20) == 10
    policy.reset()
    assert _match(policy, 20) is None


def test_unknown_policy_is_refused():
    with pytest.raises(SettingsError, match="'nearest', 'approximate' or 'exact'"):
        make_policy('closest', 0.1)


@pytest.mark.ros_distro
def test_exact_pairs_equal_stamps_only():
    pytest.importorskip('message_filters')
    policy = make_policy('exact', 0.05)
    policy.add_rgb(_message(100))
    policy.add_thermal(_message(100))
    policy.add_rgb(_message(134))
    policy.add_thermal(_message(133))
    assert _match(policy, 100) == 100 and _match(policy, 133) is None


@pytest.mark.ros_distro
def test_approximate_survives_a_bag_loop_and_takes_the_slop_inclusive():
    pytest.importorskip('message_filters')
    policy = make_policy('approximate', 0.01)
    for start in (90_000, 0):
        for ms in range(start, start + 1000, 100):
            policy.add_rgb(_message(ms))
            policy.add_thermal(_message(ms + 10))
        assert _match(policy, start + 910) == start + 900
    policy.add_rgb(_message(2000))
    policy.add_thermal(_message(2011))
    assert _match(policy, 2011) is None
