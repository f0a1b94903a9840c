# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading of bags: real ones of every kind, damaged ones, and those written here."""

from __future__ import annotations

import collections
import shutil

import numpy as np
import pytest
from small_bag import IMAGE, PERIOD, START, image, write_small_bag

from monother_ros.core.errors import BagError
from monother_ros.ros.bags import BagReader
from monother_ros.ros.newbag import new_bag

MCAP = 'rosbag2_2025_09_10-13_03_56_0.mcap'


@pytest.mark.parametrize(
    ('name', 'messages', 'topics', 'ros1'),
    [
        (MCAP, 194, 32, False),
        ('aruco_images.bag', 16, 2, True),
        ('watercan.bag', 3533, 2, True),
    ],
)
def test_every_real_bag_is_read_whole(shared, name, messages, topics, ros1):
    with BagReader(shared(f'data/bags/{name}')) as bag:
        assert (bag.message_count, len(bag.topics), bag.ros1) == (messages, topics, ros1)
        counts = collections.Counter(topic for topic, _, _ in bag.read())
    assert sum(counts.values()) == messages
    assert {t.name: t.count for t in bag.topics if t.count} == counts


def test_real_ros1_bag_keeps_its_values(shared):
    with BagReader(shared('data/bags/aruco_images.bag')) as bag:
        infos = [m for _, m, _ in bag.read(['/raspicam_node/camera_info'])]
        (picture,) = [m for _, m, _ in bag.read(['/raspicam_node/image/compressed'])]
    assert len(infos) == 15
    assert infos[0].K.shape == (9,)
    assert (infos[0].width, infos[0].height) == (1280, 960)
    assert bytes(picture.data[:2]) == b'\xff\xd8'


def test_real_point_cloud_has_its_points(shared):
    with BagReader(shared('data/bags/watercan.bag')) as bag:
        topic = next(t.name for t in bag.topics if t.type == 'sensor_msgs/msg/PointCloud2')
        (cloud,) = [m for _, m, _ in bag.read([topic])]
        # ROS 1 calls the type tf/tfMessage on one connection, tf2_msgs/TFMessage on the others
        assert [t.type for t in bag.topics if t.name == '/tf'] == ['tf2_msgs/msg/TFMessage']
    assert cloud.width * cloud.height == 13_966
    assert cloud.point_step == 32


def test_real_mcap_stamps_lag_the_recording(shared):
    with BagReader(shared(f'data/bags/{MCAP}')) as bag:
        ((_, picture, recorded),) = bag.read(['/image'])
    stamp = picture.header.stamp.sec * 10**9 + picture.header.stamp.nanosec
    assert (picture.encoding, picture.width, picture.height) == ('rgb8', 640, 480)
    assert 0.5e9 < recorded - stamp < 2e9


def test_read_back_what_was_written(tmp_path):
    with BagReader(write_small_bag(tmp_path / 'bag', frames=4)) as bag:
        assert [t.name for t in bag.topics] == ['/cam', '/note', '/odd']
        cam, note, _ = bag.topics
        assert (cam.type, cam.count, cam.reliable, cam.latched, cam.depth) == (
            IMAGE, 4, True, False, 50,
        )  # fmt: skip
        assert note.latched
        got = list(bag.read(['/cam']))
        late = list(bag.read(['/cam'], start_ns=START + 2 * PERIOD))
    assert [stamp for _, _, stamp in got] == [START + i * PERIOD for i in range(4)]
    np.testing.assert_array_equal(got[3][1].data, image(3).data)
    assert len(late) == 2


def test_topic_that_is_not_there_is_named(tmp_path):
    with (
        BagReader(write_small_bag(tmp_path / 'bag')) as bag,
        pytest.raises(BagError, match=r'no topic /rgb.*it has /cam'),
    ):
        list(bag.messages(['/rgb']))


def test_missing_and_foreign_paths(tmp_path):
    with pytest.raises(BagError, match='does not exist'):
        BagReader(tmp_path / 'nothing.bag')
    with pytest.raises(BagError, match='no storage file'):
        BagReader(tmp_path)
    other = tmp_path / 'picture.png'
    other.write_bytes(b'x')
    with pytest.raises(BagError, match='not a bag'):
        BagReader(other)


@pytest.mark.parametrize('name', [MCAP, 'aruco_images.bag'])
def test_damaged_real_bag(shared, tmp_path, name):
    whole = shared(f'data/bags/{name}').read_bytes()
    path = tmp_path / name
    path.write_bytes(b'\0' * 200 + whole[200:])
    with pytest.raises(BagError, match=rf'{name}.*damaged'):
        BagReader(path)
    path.write_bytes(b'')
    with pytest.raises(BagError):
        BagReader(path)


def test_damage_inside_is_found_while_reading(tmp_path):
    folder = write_small_bag(tmp_path / 'bag', frames=4)
    file = folder / 'bag.mcap'
    data = bytearray(file.read_bytes())
    place = data.index(b'mono16')
    data[place - 4 : place] = b'\xff\xff\xff\x7f'  # the length of the encoding
    file.write_bytes(data)
    with BagReader(folder) as bag, pytest.raises(BagError, match=r'deserialise.*/cam'):
        list(bag.read(['/cam']))


def test_folder_without_metadata_is_read_by_its_file(tmp_path):
    folder = write_small_bag(tmp_path / 'bag', frames=3)
    (folder / 'metadata.yaml').unlink()
    with BagReader(folder) as bag:
        assert bag.message_count == 5
    shutil.copy(folder / 'bag.mcap', folder / 'other.mcap')
    with pytest.raises(BagError, match='2 storage files'):
        BagReader(folder)


def test_new_bag_is_whole_or_not_there(tmp_path):
    with pytest.raises(RuntimeError), new_bag(tmp_path / 'bag') as writer:
        writer.add_connection('/a', 'std_msgs/msg/String', msgdef='string data\n', rihs01='x')
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_new_bag_replaces_only_a_bag_and_only_when_told(tmp_path):
    folder = write_small_bag(tmp_path / 'bag', frames=2)
    with pytest.raises(BagError, match='--overwrite'), new_bag(folder):
        pass
    (tmp_path / 'home').mkdir()
    (tmp_path / 'home' / 'thesis.txt').write_text('dear')
    with pytest.raises(BagError, match='is not a bag'), new_bag(tmp_path / 'home', overwrite=True):
        pass
    with new_bag(folder, overwrite=True):
        pass
    with BagReader(folder) as bag:
        assert (bag.message_count, bag.duration) == (0, 0.0)
    assert (tmp_path / 'home' / 'thesis.txt').read_text() == 'dear'
