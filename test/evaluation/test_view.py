# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings for the viewer, read back with the viewer's own library."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rerun', reason='the viewer is not installed')
pytest.importorskip('rerun.chunk', reason='this version of the viewer reads no files')

from recorded_run import Drive, prediction_of, stamp_of, truth_of, write_pair
from rerun import chunk as chunks

from monother_ros.cli.main import main
from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import BagError
from monother_ros.evaluation.metrics import depth_metrics
from monother_ros.evaluation.view import ViewSettings, write_view
from monother_ros.evaluation.view_scene import DEPTH_UNIT

INPUTS = ('thermal', 'thermal_info', 'rgb', 'lidar', 'static')
CAMERA = '/world/vehicle/thermal/camera'


class Read:
    """What a file holds: entity → stamp in ns (None for what always holds) → column → value."""

    def __init__(self, path):
        self.reader = chunks.RrdReader(path)
        self.entities = {}
        for chunk in self.reader.stream():
            batch = chunk.to_record_batch()
            names = batch.schema.names
            stamps = [None] * batch.num_rows
            if 'stamp' in names:
                stamps = batch.column(names.index('stamp')).cast('int64').to_pylist()
            rows = self.entities.setdefault(str(chunk.entity_path), {})
            for name in (n for n in names if ':' in n):
                column = batch.column(names.index(name))
                for stamp, value in zip(stamps, column, strict=True):
                    if value.is_valid and len(value.values):
                        rows.setdefault(stamp, {})[name] = value.values

    def count(self, entity):
        return len(self.entities.get(entity, {}))

    def image(self, entity, stamp, kind='DepthImage'):
        row = self.entities[entity][stamp]
        shape = row[f'{kind}:format'].to_pylist()[0]
        pixels = row[f'{kind}:buffer'].to_numpy(zero_copy_only=False)[0]
        return (
            np.asarray(pixels, np.uint8).view(np.uint16).reshape(shape['height'], shape['width'])
        )

    def scalars(self, name):
        rows = self.entities[f'/plots/{name}']
        return {k: v['Scalars:scalars'].to_pylist()[0] for k, v in rows.items()}

    def points(self, stamp):
        row = self.entities['/world/vehicle/thermal/cloud'][stamp]
        return np.array(row['Points3D:positions'].to_pylist(), np.float32)


@pytest.fixture
def bags(tmp_path):
    recorded, given = write_pair(tmp_path, Drive(inputs=(*INPUTS, 'odometry')))
    return recorded, given


def test_recorded_output_is_joined_with_its_input(bags, tmp_path):
    recorded, given = bags
    out = tmp_path / 'deep' / 'view.rrd'
    viewed = write_view(out, given, recorded, ViewSettings(points=500))
    assert viewed.counts['thermal'] == 40 and viewed.counts['depth'] == 35 and not viewed.notes
    read = Read(out)
    assert len(read.reader.blueprints()) == 1
    assert read.count(f'{CAMERA}/thermal') == 40 and read.count(f'{CAMERA}/truth') == 40
    assert read.count('/world/vehicle/rgb/camera/image') == 20
    assert read.count('/world/vehicle/lidar') == 40 + 1  # and its pose
    drive = Drive()
    for k in (2, 20, 39):
        stamp = stamp_of(k)
        depth, sure = prediction_of(k, drive.frames)
        stored = read.image(f'{CAMERA}/depth', stamp)
        np.testing.assert_allclose(
            np.where(stored > 0, stored / DEPTH_UNIT, np.nan), depth, atol=0.51 / DEPTH_UNIT
        )
        known = np.isfinite(truth_of(k)) & np.isfinite(depth)
        values = depth_metrics(depth[known], truth_of(k)[known])
        assert read.scalars('abs_rel')[stamp] == pytest.approx(values['abs_rel'], rel=1e-6)
        assert read.scalars('mean_confidence')[stamp] == pytest.approx(sure.mean(), rel=1e-5)
        points = read.points(stamp)
        assert 250 < len(points) <= 500
        fx, height, width = 60.0, *depth.shape
        camera = Intrinsics(width, height, fx, fx, width / 2 - 0.5, height / 2 - 0.5)
        pixels = np.rint(camera.project(points)).astype(int)
        np.testing.assert_allclose(points[:, 2], depth[pixels[:, 1], pixels[:, 0]], rtol=1e-5)
    # the camera is 1.2 m above the ground and looks forward
    pose = read.entities['/world/vehicle/thermal'][None]
    assert pose['Transform3D:translation'].to_pylist()[0] == pytest.approx([0.0, 0.0, 1.2])


def test_trajectory_from_odometry_and_from_tf(bags, tmp_path):
    recorded, given = bags
    write_view(tmp_path / 'odometry.rrd', given, recorded)
    read = Read(tmp_path / 'odometry.rrd')
    rows = read.entities['/world/vehicle']
    assert len(set(rows) - {None}) == 40
    moved = rows[stamp_of(30)]['Transform3D:translation'].to_pylist()[0]
    assert moved == pytest.approx([15.0, 3.0, 0.0], abs=1e-5)
    line = read.entities['/world/trajectory/whole'][None]['LineStrips3D:strips'].to_pylist()[0]
    assert len(line) == 40 and line[-1] == pytest.approx([19.5, 3.9, 0.0], abs=1e-5)
    assert read.count('/world/trajectory') == 39

    other = tmp_path / 'other'
    other.mkdir()
    recorded, given = write_pair(other, Drive(frames=10, inputs=(*INPUTS, 'tf')))
    write_view(tmp_path / 'tf.rrd', given, recorded)
    rows = Read(tmp_path / 'tf.rrd').entities['/world/vehicle']
    moved = rows[stamp_of(8)]['Transform3D:translation'].to_pylist()[0]
    assert len(set(rows) - {None}) == 10 and moved == pytest.approx([4.0, 0.0, 0.0])


def test_depth_of_a_model_computed_now(bags, tmp_path, tiny_bundle):
    from monother_ros.core.bundle import load_bundle
    from monother_ros.core.pipeline import Pipeline, ThermalFrame
    from monother_ros.engines.select import load_engine
    from monother_ros.evaluation.recording import INPUT_ROLES, Recording
    from monother_ros.ros.messages import intrinsics_from_camera_info, thermal_array

    _, given = bags
    out = tmp_path / 'view.rrd'
    settings = ViewSettings(model=str(tiny_bundle), engine='onnxruntime', every=4)
    viewed = write_view(out, given, None, settings)
    assert viewed.counts['depth'] == 40  # every image passes the pipeline
    read = Read(out)
    assert read.count(f'{CAMERA}/thermal') == 10
    engine = load_engine(load_bundle(tiny_bundle), 'onnxruntime')
    pipeline, depths = Pipeline(engine), {}
    with Recording(given, INPUT_ROLES) as recording:
        camera = next(
            intrinsics_from_camera_info(m) for _, m in recording.messages('thermal_info')
        )
        for entry, message in recording.messages('thermal'):
            frame = ThermalFrame(thermal_array(message), entry.stamp, '', camera)
            depths[entry.stamp] = pipeline.process(frame).depth
    engine.close()
    # frames 12 and 13 look like a closed shutter
    shown = [s for s in list(depths)[::4] if depths[s] is not None]
    assert len(shown) == read.count(f'{CAMERA}/depth') >= 8
    for stamp in shown:
        stored = read.image(f'{CAMERA}/depth', stamp)
        expected = np.rint(np.nan_to_num(depths[stamp]) * DEPTH_UNIT)
        np.testing.assert_array_equal(stored, expected)


def test_verb_names_what_is_wrong(bags, tmp_path, capsys):
    recorded, given = bags
    out = tmp_path / 'view.rrd'
    assert main(['view', str(given), '--recorded', str(recorded), '-o', str(out)]) == 0
    printed = capsys.readouterr().out
    assert '35  depth' in printed and printed.strip().endswith(str(out))
    for words, text in (
        (['--every', '0'], 'must be at least 1'),
        (['--topic', 'thermal'], 'is not ROLE=/topic'),
        (['--topic', 'nothing=/a'], 'with a role of thermal'),
        (['--model', 'lite', '--recorded', str(recorded)], 'give --recorded or --model'),
        (['--model', 'no such model'], 'no such model'),
    ):
        assert main(['view', str(given), '-o', str(tmp_path / 'no.rrd'), *words]) == 1
        assert text in capsys.readouterr().err
        assert not (tmp_path / 'no.rrd').exists()


def test_bag_without_anything_to_see(tmp_path):
    from small_bag import write_small_bag

    bag = write_small_bag(tmp_path / 'bag')
    with pytest.raises(BagError, match=r'holds nothing that can be shown; its topics are /cam'):
        write_view(tmp_path / 'view.rrd', bag)
    assert list(tmp_path.iterdir()) == [bag]


@pytest.mark.parametrize(
    ('name', 'topics', 'expected'),
    [
        (
            'rosbag2_2025_09_10-13_03_56_0.mcap',
            {'rgb': '/image', 'lidar': '/point_cloud2'},
            {'/world/vehicle/rgb/camera/image', '/world/vehicle/lidar'},
        ),
        (
            'aruco_images.bag',
            {'rgb': '/raspicam_node/image/compressed', 'rgb_info': '/raspicam_node/camera_info'},
            {'/world/vehicle/rgb/camera/image', '/world/vehicle/rgb/camera'},
        ),
    ],
)
def test_real_bags_of_ros_1_and_2(shared, tmp_path, name, topics, expected):
    write_view(
        tmp_path / 'view.rrd', shared(f'data/bags/{name}'), None, ViewSettings(topics=topics)
    )
    assert expected <= set(Read(tmp_path / 'view.rrd').entities)
