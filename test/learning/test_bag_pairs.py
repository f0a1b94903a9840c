# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs of a simulated drive and of bags with known geometry."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import yaml
from rig_bag import (
    DISTANCE,
    EXTRINSICS,
    LINKS,
    MS,
    NORMAL,
    RGB,
    SHIFT,
    START,
    THERMAL,
    TOPICS,
    TURN,
    thermal_picture,
    wall_depth,
    write_rig_bag,
)

from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import DatasetError
from monother_ros.learning.bag_index import pair_stamps
from monother_ros.learning.datasets import Joined, describe, open_dataset
from monother_ros.learning.pair_files import scaled_matrix
from monother_ros.learning.rig_config import RigConfig, rig_config
from monother_ros.sim import messages


@pytest.fixture(scope='module')
def drive(tmp_path_factory):
    """A second of a street, and its rig."""
    pytest.importorskip('embreex', reason='the simulator is not installed')
    from monother_ros.sim.bag import Drive, write_drive
    from monother_ros.sim.simulator import SimConfig, Simulator

    config = SimConfig(
        seed=7,
        width=160,
        height=128,
        rgb_width=200,
        rgb_height=150,
        rate=4.0,
        lidar_rings=2,
        lidar_columns=60,
    )
    path = tmp_path_factory.mktemp('drives') / 'street'
    write_drive(path, Drive(config, 1.0, compressed=True), workers=1)
    return path, Simulator(config).rig


@pytest.fixture(scope='module')
def rig(tmp_path_factory):
    return write_rig_bag(tmp_path_factory.mktemp('rig') / 'wall', depth=True)


def opened(path, **changes):
    return open_dataset({'kind': 'bag', 'path': str(path), **TOPICS, **changes})


def test_simulated_pairs(drive):
    path, rig = drive
    pairs = open_dataset({'kind': 'sim', 'path': str(path)})
    assert len(pairs) == 4
    pair = pairs[1]
    assert pair.thermal.shape == (1, 128, 160) and pair.rgb.shape == (3, 128, 160)
    assert pair.thermal_depth.shape == (1, 128, 160) and pair.rgb_depth.shape == (1, 150, 200)
    for image in (pair.thermal, pair.rgb, pair.thermal_depth, pair.rgb_depth):
        assert image.dtype == np.float32 and np.isfinite(image).all() and image.min() >= 0
    assert pair.thermal.max() == 1 and pair.thermal.min() == 0 and pair.rgb.max() <= 1
    assert (pair.thermal_depth == 0).mean() > 0.05  # sky
    assert np.allclose(pair.thermal_intrinsics, rig.thermal.matrix, atol=1e-3)
    scaled = scaled_matrix(rig.rgb.matrix, (150, 200), (128, 160), half_pixel=True)
    assert np.allclose(pair.rgb_intrinsics, scaled, atol=1e-3)
    assert np.allclose(pair.extrinsics, rig.rgb_from_thermal, atol=1e-6)
    assert pair.name.startswith('street/17') and len({pairs[k].name for k in range(4)}) == 4
    assert '4 pairs, labels thermal_depth, rgb_depth (rgb 4, thermal 4)' in describe(pairs)


def test_depth_of_one_camera_is_depth_of_the_other(drive):
    torch = pytest.importorskip('torch', reason='torch is not installed')
    from monother_ros.learning.warp import forward_warp, inside_picture, normalise_pixels, sample

    pairs = open_dataset({'kind': 'sim', 'path': str(drive[0])})
    medians = []
    for k in range(len(pairs)):
        pair = pairs[k]
        rows, columns = pair.rgb_depth.shape[1:]
        matrix = scaled_matrix(pair.rgb_intrinsics, pair.size, (rows, columns), half_pixel=True)
        thermal, rgb, from_k, to_k, pose = (
            torch.from_numpy(a)[None]
            for a in (
                pair.thermal_depth,
                pair.rgb_depth,
                pair.thermal_intrinsics,
                matrix,
                pair.extrinsics,
            )
        )
        pixels, moved = forward_warp(thermal, from_k, to_k, pose)
        grid = normalise_pixels(pixels, rows, columns)
        truth = sample(rgb, grid, 'nearest')[0, 0].numpy()
        moved = moved[0, ..., 0].numpy()
        seen = inside_picture(grid, rows, columns)[0, 0].numpy() & (truth > 0) & (moved > 0)
        assert seen.mean() > 0.6
        medians.append(np.median(np.abs(moved - truth)[seen] / truth[seen]))
    assert max(medians) < 0.01


def test_the_same_bag_gives_the_same_bytes(rig, tmp_path):
    one, two = (opened(rig, lidar='/points', cache=str(tmp_path / c)) for c in 'ab')
    assert len(one) == len(two) == 10
    for k in range(10):
        for a, b in zip(vars(one[k]).values(), vars(two[k]).values(), strict=True):
            assert np.array_equal(a, b)


def test_lidar_labels_are_the_wall_and_the_plate(rig):
    pairs = opened(rig, lidar='/points', stride=5)
    assert len(pairs) == 2 and pairs.counts['left_out_by_stride'] == 8
    pair = pairs[0]
    assert np.allclose(pair.extrinsics, EXTRINSICS, atol=1e-6)
    for camera, pose, label in (
        (THERMAL, np.eye(4), pair.thermal_depth[0]),
        (RGB, EXTRINSICS, pair.rgb_depth[0]),
    ):
        assert label.shape == (camera.height, camera.width)
        pinhole = Intrinsics(
            camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy
        )
        wall = wall_depth(pinhole, pose)
        known = label > 0
        assert known.mean() > 0.6
        # half a pixel of a slanted wall, and the plate 2 m away, which hides the wall
        on_wall = np.abs(label / wall - 1) < 0.01
        on_plate = np.abs(label - 2.0) < 0.05
        assert (on_wall | on_plate)[known].all()
        assert 100 < np.count_nonzero(on_plate & known) < 0.2 * label.size
        centre = pinhole.project((pose @ [0.0, 0.0, 2.0, 1.0])[None, :3])[0]
        column, row = np.rint(centre).astype(int)
        patch = label[row - 4 : row + 5, column - 4 : column + 5]
        assert (np.abs(patch[patch > 0] - 2.0) < 0.05).all() and (patch > 0).any()
    assert NORMAL @ [0, 0, DISTANCE] == DISTANCE  # the wall is where its equation says


def test_colours_lie_where_the_scaled_camera_says(rig):
    pair = opened(rig, max_pairs=1)[0]
    inverse = np.linalg.inv(pair.rgb_intrinsics.astype(np.float64))
    for u, v in ((40, 32), (10, 12), (70, 50), (5, 60)):
        pixel = RGB.project((inverse @ [u, v, 1.0])[None])[0]
        # red grows by 2 with each column of the camera's picture, green by 3 with each row
        assert pair.rgb[0, v, u] == pytest.approx(2 * pixel[0] / 255, abs=0.004)
        assert pair.rgb[1, v, u] == pytest.approx(3 * pixel[1] / 255, abs=0.004)


def test_depth_images_in_millimetres(rig):
    pair = opened(rig, rgb_depth='/cam/depth', max_pairs=1)[0]
    assert pair.thermal_depth is None
    label = pair.rgb_depth[0]
    pinhole = Intrinsics(RGB.width, RGB.height, RGB.fx, RGB.fy, RGB.cx, RGB.cy)
    wall = wall_depth(pinhole, EXTRINSICS)
    known = label > 0
    assert known.mean() > 0.95
    assert np.abs(label / wall - 1)[known].max() < 0.01
    stored = np.rint(wall_depth(RGB, EXTRINSICS) * 1000).astype(np.uint16)
    values = np.unique(stored * 0.001).astype(np.float32)
    assert np.isin(label[known], values).all()


def test_each_image_has_one_partner_and_the_rest_is_counted(tmp_path):
    thermal = [0, 100, 200, 300, 400]
    rgb = [4, 95, 104, 230, 305, 360]
    bag = write_rig_bag(tmp_path / 'bag', thermal, rgb, cloud=False)
    pairs = opened(bag)
    assert [pairs[k].name for k in range(3)] == [f'bag/{START + t * MS}' for t in (0, 100, 300)]
    assert len(pairs) == 3
    assert pairs.counts == {
        'thermal': 5,
        'rgb': 6,
        'matched': 3,
        'thermal_unmatched': 2,
        'rgb_unmatched': 3,
        'pairs': 3,
    }
    assert 'thermal_unmatched 2' in pairs.summary
    # 104 is nearer to 100 than 95 is
    colours = np.rint(pairs[1].rgb * 255).astype(int)
    other = opened(bag, max_difference=0.0045)
    assert np.array_equal(np.rint(other[1].rgb * 255), colours)
    wide = opened(bag, max_difference=0.045)
    assert len(wide) == 5


def test_the_order_of_recording_does_not_matter():
    thermal = [(k * 100, k) for k in range(300)]
    rgb = [(k * 100 + 3, k) for k in range(300)]
    expected = [(k * 100, k, k * 100 + 3, k) for k in range(300)]
    assert pair_stamps(thermal, rgb, 10) == (expected, {'matched': 300, 'rgb_unmatched': 0})
    assert pair_stamps(thermal[::-1], rgb, 10)[0] == expected
    assert pair_stamps(thermal[:1], rgb[:1], 3)[0] == expected[:1]
    assert pair_stamps(thermal, [(s - 6, n) for s, n in rgb], 10)[0][-1] == (
        29900,
        299,
        29897,
        299,
    )
    assert pair_stamps(thermal, [], 10) == ([], {'thermal_unmatched': 300, 'rgb_unmatched': 0})
    assert pair_stamps([], rgb, 10) == ([], {'rgb_unmatched': 300})


def test_frames_of_a_closed_shutter_are_left_out(tmp_path):
    pictures = [thermal_picture(k) for k in range(12)]
    for k in (5, 6, 7):
        pictures[k] = pictures[4]
    flat = np.full_like(pictures[0], 3100)
    flat += np.random.default_rng(3).integers(0, 4, flat.shape).astype(np.uint16)
    pictures[8] = flat
    bag = write_rig_bag(
        tmp_path / 'bag', range(0, 600, 50), range(3, 603, 50), pictures, cloud=False
    )
    pairs = opened(bag)
    left = 12 - len(pairs)
    assert pairs.counts['shutter_frozen'] == 3 and pairs.counts['shutter_flat'] == 1
    assert left == sum(v for k, v in pairs.counts.items() if k.startswith('shutter'))
    assert f'bag/{START + 5 * 50 * MS}' not in {pairs[k].name for k in range(len(pairs))}
    assert len(opened(bag, keep_shutter=True)) == 12


def test_settings_in_a_file(rig, tmp_path):
    cameras = {}
    for name, camera in (('ir', THERMAL), ('cam', RGB)):
        cameras[name] = {
            'image_width': camera.width,
            'image_height': camera.height,
            'camera_matrix': {'rows': 3, 'cols': 3, 'data': camera.matrix.reshape(-1).tolist()},
            'distortion_model': 'radtan',
            'distortion_coefficients': {'data': list(camera.distortion)},
        }
        (tmp_path / f'{name}.yaml').write_text(yaml.safe_dump(cameras[name]))
    settings = {
        'thermal': '/ir/image',
        'rgb': '/cam/image',
        'thermal_info': 'ir.yaml',
        'rgb_info': 'cam.yaml',
        'lidar': '/points',
        'extrinsics': {'translation': list(SHIFT), 'rotation': [3 * q for q in TURN]},
    }
    (tmp_path / 'rig.yaml').write_text(yaml.safe_dump(settings))
    spec = {'kind': 'bag', 'path': str(rig), 'rig': str(tmp_path / 'rig.yaml'), 'max_pairs': 3}
    pairs = open_dataset(spec)
    from_bag = opened(rig, lidar='/points')
    assert len(pairs) == 3 and pairs.counts['left_out_by_max_pairs'] == 7
    for a, b in zip(vars(pairs[2]).values(), vars(from_bag[2]).values(), strict=True):
        assert a == b if isinstance(a, str) else np.allclose(a, b, atol=1e-5)


def test_folders_patterns_and_lists_are_joined(tmp_path):
    for name in 'ab':
        write_rig_bag(tmp_path / name, range(0, 300, 100), range(0, 300, 100), cloud=False)
    (tmp_path / 'notes.txt').write_text('no bag')
    for path in (tmp_path, tmp_path / '*', [tmp_path / 'a', tmp_path / 'b']):
        given = [str(p) for p in path] if isinstance(path, list) else str(path)
        pairs = open_dataset({'kind': 'bag', 'path': given, **TOPICS})
        assert isinstance(pairs, Joined) and len(pairs) == 6
        assert pairs[3].name.startswith('b/') and pairs[0].thermal_depth is None
        assert describe(pairs).count('3 pairs') == 2
    with pytest.raises(DatasetError, match='no bag matches'):
        opened(tmp_path / 'c*')


def test_bags_of_ros_1(rig, tmp_path):
    from rosbags.convert.converter import convert
    from rosbags.typesys import Stores, get_typestore

    stores = (get_typestore(Stores.ROS2_HUMBLE), get_typestore(Stores.ROS1_NOETIC))
    target = tmp_path / 'wall.bag'
    convert([rig], target, 'sqlite3', 8, None, 'file', *stores, (), (), (), ())
    old, new = opened(target, lidar='/points'), opened(rig, lidar='/points')
    assert len(old) == len(new) and old.counts == new.counts
    for a, b in zip(vars(old[4]).values(), vars(new[4]).values(), strict=True):
        assert np.array_equal(a, b)


def test_every_setting_is_documented():
    text = (Path(__file__).parents[2] / 'docs' / 'datasets.md').read_text(encoding='utf-8')
    for field in fields(RigConfig):
        assert f'`{field.name}`' in text, field.name
    example = text.split('`my_rig.yaml`:')[1].split('```yaml')[1].split('```')[0]
    config = rig_config(yaml.safe_load(example))
    assert config.stride == 5 and np.allclose(
        np.array(config.extrinsics)[:3, 3], [-0.062, 0.004, 0.011]
    )


def test_an_image_that_cannot_be_read_costs_its_pair(tmp_path):
    cut = messages.image(np.zeros((60, 100, 3), np.uint8), 'rgb8', START + 203 * MS, 'rgb_optical')
    small = messages.image(np.zeros((10, 12), np.uint16), 'mono16', START + 300 * MS, 'x')
    image = 'sensor_msgs/msg/Image'
    bag = write_rig_bag(
        tmp_path / 'bag',
        [0, 100, 200],
        [3, 103, 303],
        cloud=False,
        extra=[
            (START + 203 * MS, '/cam/image', image, cut),
            (START + 300 * MS, '/ir/image', image, small),
        ],
    )
    pairs = opened(bag)
    assert len(pairs) == 2
    assert pairs.counts['rgb_unreadable'] == 1 and pairs.counts['thermal_other_size'] == 1


def test_labels_too_far_in_time_are_none(rig):
    pairs = opened(rig, lidar='/points', max_label_difference=0.01)
    labelled = [k for k in range(10) if pairs[k].thermal_depth.any()]
    assert labelled == [0, 5] and pairs.counts['thermal_depth_missing'] == 8


def test_stamps_of_recording(tmp_path):
    """A driver that stamps nothing: its messages still have a time of recording."""
    image = 'sensor_msgs/msg/Image'
    unstamped = [
        (START + k * 100 * MS, '/ir/image', image, messages.image(counts, 'mono16', 0, 't'))
        for k, counts in enumerate(map(thermal_picture, range(4)))
    ]
    bag = write_rig_bag(
        tmp_path / 'bag', [], [0, 100, 200, 300], links=(), cloud=False, extra=unstamped
    )
    pose = EXTRINSICS.tolist()
    with pytest.raises(DatasetError, match=r'all 4 messages on /ir/image.*clock: recorded'):
        opened(bag, extrinsics=pose)
    assert len(opened(bag, extrinsics=pose, clock='recorded')) == 4


@pytest.mark.parametrize(
    ('changes', 'told'),
    [
        ({'thermal': '/nothing'}, r'no topic /nothing; it has /cam/camera_info, /cam/depth'),
        ({'thermal_info': '/nothing'}, r'no topic /nothing; it has'),
        ({'thermal_info': 'absent.yaml'}, r'wall: absent\.yaml cannot be read'),
        ({'rgb': '/points'}, r'/points.*PointCloud2, but rgb needs sensor_msgs/msg/Image'),
        ({'lidar': '/cam/image'}, r'/cam/image.*needs sensor_msgs/msg/PointCloud2'),
        ({'rgb_frame': 'roof'}, r"connect 'thermal_optical' with 'roof'; it has lidar, rgb_opt"),
        ({'lidar': '/points', 'lidar_frame': 'roof'}, r"'roof'.*lidar_extrinsics"),
        ({'max_difference': 0.001}, r'10 thermal_unmatched.*nearest stamps are 0\.003 s apart'),
        ({'stride': 0}, 'stride 0'),
        ({'strides': 2}, r'setting strides is not known; allowed here: thermal, rgb'),
        ({'clock': 'sun'}, 'header, recorded'),
        ({'rgb': '/ir/image'}, 'two topics'),
        ({'extrinsics': [[1, 0], [0, 1]]}, '4x4'),
        ({'extrinsics': np.diag([1.0, 1, -1, 1]).tolist()}, 'no rigid transform'),
        ({'extrinsics': {'translation': [0, 0, 0], 'rotation': [0, 0, 0, 0]}}, 'no rotation'),
        ({'thermal_depth': '/cam/image'}, r'/cam/image gives no thermal_depth: .*32FC1 or 16UC1'),
        ({'lidar': '/points', 'max_label_difference': 1e-4}, r'/points gives no .*max_label_diff'),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(rig, changes, told):
    with pytest.raises(DatasetError, match=told):
        opened(rig, **changes)


def test_bags_without_calibration(tmp_path):
    bag = write_rig_bag(tmp_path / 'bag', [0, 100], [0, 100], links=LINKS[1:], cloud=False)
    with pytest.raises(DatasetError, match=r'bag.*does not connect .* lidar, thermal_optical'):
        opened(bag)
    bag = write_rig_bag(tmp_path / 'no_tf', [0, 100], [0, 100], links=(), cloud=False)
    with pytest.raises(DatasetError, match='it has no frame'):
        opened(bag)
    bag = write_rig_bag(tmp_path / 'no_info', [0, 100], [0, 100], infos=(None, RGB), cloud=False)
    with pytest.raises(DatasetError, match=r'no_info has no topic /ir/camera_info'):
        opened(bag)
    with pytest.raises(DatasetError, match='does not exist'):
        opened(tmp_path / 'absent')
    with pytest.raises(DatasetError, match='needs the setting path'):
        open_dataset({'kind': 'bag', **TOPICS})


def test_a_real_bag_that_is_no_pair_of_cameras(shared, tmp_path):
    path = shared('data/bags/rosbag2_2025_09_10-13_03_56_0.mcap')
    with pytest.raises(DatasetError, match=r'no topic .*it has /battery_state, /camera_info'):
        open_dataset({'kind': 'sim', 'path': str(path), 'cache': str(tmp_path)})
    settings = {
        'thermal': '/compressed_image',
        'rgb': '/image',
        'thermal_info': '/camera_info',
        'rgb_info': '/camera_info',
        'cache': str(tmp_path),
    }
    with pytest.raises(DatasetError, match=r'camera.*'):
        open_dataset({'kind': 'bag', 'path': str(path), **settings})
    assert not [p for p in tmp_path.rglob('*') if p.suffix in ('.npy', '.json')]


def test_the_shipped_settings_are_those_of_the_simulator():
    from monother_ros.learning.bag_pairs import SIMULATED

    changed = rig_config({'stride': 3}, SIMULATED)
    assert changed.thermal_depth == '/ground_truth/thermal/depth' and changed.stride == 3


def test_bags_are_read_without_ros():
    code = (
        'import sys\n'
        'for name in ("rclpy", "sensor_msgs", "cv_bridge", "torch"): sys.modules[name] = None\n'
        'import monother_ros.learning.bag_pairs\n'
    )
    assert subprocess.run([sys.executable, '-c', code], timeout=60).returncode == 0
