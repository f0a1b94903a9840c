# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tests of joining two bags frame by frame."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from recorded_run import START, STEP, Drive, stamp_of, write_input, write_output

from monother_ros.core.errors import BagError
from monother_ros.evaluation.recording import (
    INPUT_ROLES,
    OUTPUT_ROLES,
    WINDOW,
    Cursor,
    Recording,
    header_stamp,
    match_stamps,
    read_segments,
)


@pytest.fixture(scope='module')
def given_path(tmp_path_factory):
    return write_input(tmp_path_factory.mktemp('given') / 'input', Drive(frames=20))


@pytest.mark.parametrize(
    ('layout', 'prefix', 'ros2'),
    [
        ('<iI', b'\0\1\0\0', True),
        ('>iI', b'\0\0\0\0', True),
        ('<II', b'\7\0\0\0', False),
    ],
)
def test_stamp_is_read_from_the_serialised_header(layout, prefix, ros2):
    raw = prefix + struct.pack(layout, 1_700_000_000, 123_456_789) + b'rest'
    assert header_stamp(raw, ros2) == 1_700_000_000_123_456_789


def test_stamp_of_a_short_message_is_an_error():
    with pytest.raises(BagError, match='too short for a header'):
        header_stamp(b'\0\1\0\0\1\2', ros2=True)


def test_stamps_equal_those_of_the_decoded_messages(given_path):
    with Recording(given_path, INPUT_ROLES) as bag:
        for role in ('thermal', 'rgb', 'lidar', 'truth', 'thermal_info'):
            for entry, message in bag.messages(role):
                stamp = message.header.stamp
                assert entry.stamp == stamp.sec * 10**9 + stamp.nanosec
        assert len(bag.entries['thermal']) == 20
        assert len(bag.entries['rgb']) == 10


def test_ros1_bag_with_compressed_images(shared):
    roles = {'rgb': ('/compressed',), 'info': ('/camera_info',)}
    with Recording(shared('data/bags/aruco_images.bag'), roles) as bag:
        assert bag.topics['rgb'].endswith('/compressed')
        (entry, message), *_ = bag.messages('rgb')
        assert entry.stamp == message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def test_topics_under_a_namespace_and_by_name(tmp_path):
    path = write_input(tmp_path / 'input', Drive(frames=3, prefix='/front/left'))
    with Recording(path, INPUT_ROLES) as bag:
        assert bag.topics['thermal'] == '/front/left/thermal/image_raw'
    with Recording(path, INPUT_ROLES, {'rgb': '/ground_truth/thermal/depth'}) as bag:
        assert bag.topics['rgb'] == '/ground_truth/thermal/depth'
    with pytest.raises(BagError, match=r"no topic '/nowhere' for thermal; it holds .*/rgb"):
        Recording(path, INPUT_ROLES, {'thermal': '/nowhere'})


def test_groups_hold_all_of_a_stamp_and_nothing_else(tmp_path):
    path = write_output(tmp_path / 'out', Drive(frames=30))
    with Recording(path, OUTPUT_ROLES) as bag:
        seen = list(bag.groups(['depth', 'confidence', 'points']))
    expected = [stamp_of(k) for k in range(2, 30) if k not in (7, 12, 13)]
    assert [entry.stamp for entry, _ in seen] == expected
    assert all(set(group) == {'depth', 'confidence', 'points'} for _, group in seen)


def test_groups_without_a_partner_are_handed_out(tmp_path):
    path = write_output(tmp_path / 'out', Drive(frames=WINDOW + 20, lost=()))
    with Recording(path, OUTPUT_ROLES) as bag:
        # a confidence that the index promises and the bag does not bring must not stop the rest
        bag.entries['confidence'] += bag.entries['depth']
        bag.topics['confidence'] = '/nothing'
        seen = sum('depth' in group for _, group in _quietly(bag, ['depth', 'confidence']))
        assert seen == len(bag.entries['depth'])


def _quietly(bag, roles):
    original = bag.stream
    bag.stream = lambda wanted: original([r for r in wanted if r != 'confidence'])
    return bag.groups(roles)


def test_repeated_stamps_of_a_looped_bag_stay_apart(tmp_path):
    path = write_output(tmp_path / 'out', Drive(frames=8, passes=3, lost=(), shutter=()))
    with Recording(path, OUTPUT_ROLES) as bag:
        seen = list(bag.groups(['depth', 'confidence']))
    assert len(seen) == 18
    assert sorted({entry.repeat for entry, _ in seen}) == [0, 1, 2]
    assert all(len(group) == 2 for _, group in seen)


def test_cursor_goes_forward_back_and_past_what_is_missing(given_path):
    with Recording(given_path, INPUT_ROLES) as bag:
        cursor = Cursor(bag, ['truth', 'thermal'])
        for k in (3, 4, 4, 17, 2, 19, 0):
            group = cursor.get(stamp_of(k))
            assert set(group) == {'truth', 'thermal'}
            assert bag.decode(group['truth']).header.stamp.nanosec == stamp_of(k) % 10**9
        assert cursor.get(stamp_of(5) + 1) == {}
        assert cursor.get(stamp_of(99)) == {}
        assert set(cursor.get(stamp_of(6))) == {'truth', 'thermal'}


def test_single_messages_by_nearest_stamp(given_path):
    with Recording(given_path, INPUT_ROLES) as bag:
        exact = bag.at('thermal', stamp_of(11))
        assert exact.header.stamp.nanosec == stamp_of(11) % 10**9
        assert bag.at('rgb', stamp_of(10)) is None
        near = bag.at('rgb', stamp_of(10), tolerance=8_000_000)
        assert near.header.stamp.nanosec == (stamp_of(10) + 7_000_000) % 10**9
        assert bag.at('diagnostics', stamp_of(1)) is None


def test_segments_from_json_from_words_and_without_any(given_path, tmp_path):
    with Recording(given_path, INPUT_ROLES) as bag:
        segments = read_segments(bag)
        assert [s.label for s in segments] == ['street, day, clear', 'street, night, fog']
        assert segments[1].start == stamp_of(10)
        assert segments[1].condition['weather'] == 'fog'

        class Words:
            data = 'night/fog'

        bag.messages = lambda role: iter([(bag.entries['thermal'][0], Words)])
        assert read_segments(bag)[0].label == 'night, fog'
    plain = write_input(tmp_path / 'plain', Drive(frames=2, conditions=False))
    with Recording(plain, INPUT_ROLES) as bag:
        assert [s.label for s in read_segments(bag)] == ['whole drive']


def test_equal_stamps_are_pairs():
    given = [START + k * STEP for k in range(50)]
    match = match_stamps(given[5:], given)
    assert (match.offset, match.certain) == (0, True)
    assert match.pairs == {s: s for s in given[5:]}


def test_new_stamps_are_matched_by_their_constant_offset():
    wobble = np.random.default_rng(0).integers(-2_000_000, 2_000_000, 50)
    given = [START + k * STEP + int(w) for k, w in enumerate(wobble)]
    late = 86_400 * 10**9 + 1234
    out = [g + late for g in given][8:]
    match = match_stamps(out, given)
    assert [match.pairs[s] for s in out] == given[8:]
    assert (match.offset, match.certain) == (late, True)


def test_new_stamps_of_an_even_camera_are_not_certain():
    given = [START + k * STEP for k in range(50)]
    match = match_stamps([g + 10**15 for g in given[8:]], given)
    assert not match.certain


def test_stamps_that_fit_nowhere_are_not_paired():
    given = [START + k * STEP for k in range(10)]
    strange = match_stamps([5, 12_000_000_007, 90_000_000_001], given)
    assert strange.pairs == {}
    assert strange.offset == 0
    assert match_stamps([], given).pairs == {}


def test_a_bag_that_is_cut_off_or_missing_is_a_clear_error(given_path, tmp_path):
    with pytest.raises(BagError, match='does not exist'):
        Recording(tmp_path / 'nothing', INPUT_ROLES)
    (tmp_path / 'cut').mkdir()
    for file in given_path.iterdir():
        data = file.read_bytes()
        cut = data if file.suffix == '.yaml' else data[: len(data) // 2]
        (tmp_path / 'cut' / file.name).write_bytes(cut)
    with pytest.raises(BagError, match='damaged or cut off'):
        Recording(tmp_path / 'cut', INPUT_ROLES)
