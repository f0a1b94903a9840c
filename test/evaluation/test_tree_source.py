# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""MS2 and ViViD as recordings: raw counts, labels, cameras, splits, and their metrics."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip('onnx')
pytest.importorskip('rosbags')

from bundles import make_bundle

from monother_ros.core.errors import DatasetError, SettingsError
from monother_ros.core.pipeline import Pipeline, PipelineSettings
from monother_ros.core.resize import AlignedResizer
from monother_ros.engines.select import load_engine
from monother_ros.evaluation import metrics
from monother_ros.evaluation.evaluate.frame_metrics import FrameScorer
from monother_ros.evaluation.evaluate.settings import EvaluationSettings
from monother_ros.evaluation.evaluate.sources import SourceOptions, open_source
from monother_ros.evaluation.evaluate.task import Task, run_task
from monother_ros.learning.vivid import without_border

FRAMES = ('000001', '000002', '000003')


def write_ms2(root, sequence, split):
    """Thermal images and labels of one sequence; no RGB."""
    rng = np.random.default_rng(len(sequence))
    (root / f'{split}_list.txt').write_text(sequence + '\n')
    images = root / 'sync_data' / sequence / 'thr' / 'img_left'
    labels = root / 'proj_depth' / sequence / 'thr' / 'depth_filtered'
    for folder in (images, labels):
        folder.mkdir(parents=True)
    for name in FRAMES:
        raw = rng.integers(20000, 30000, (32, 64)).astype(np.uint16)
        depth = np.where(rng.random((32, 64)) < 0.3, rng.integers(300, 15000, (32, 64)), 0)
        cv2.imwrite(str(images / f'{name}.png'), raw)
        cv2.imwrite(str(labels / f'{name}.png'), depth.astype(np.uint16))
    calibration = {
        'K_thrL': np.array([[60.0, 0, 31], [0, 61, 15], [0, 0, 1]]),
        'K_rgbL': np.eye(3), 'R_nir2thr': np.eye(3), 'T_nir2thr': np.zeros((3, 1)),
        'R_nir2rgb': np.eye(3), 'T_nir2rgb': np.zeros((3, 1)),
    }  # fmt: skip
    np.save(root / 'sync_data' / sequence / 'calib.npy', calibration)


def write_vivid(root, thermal, depth):
    """One drive without RGB."""
    folder = root / 'outdoor_robust_night1'
    (root / 'test_outdoor.txt').write_text('outdoor_robust_night1\n')
    for part in ('Thermal', 'Depth_T'):
        (folder / part).mkdir(parents=True)
    for name in FRAMES:
        cv2.imwrite(str(folder / 'Thermal' / f'{name}.png'), thermal)
        np.save(folder / 'Depth_T' / f'{name}.npy', depth)
    for name, matrix in (('cam_T', np.diag([50.0, 50, 1])), ('cam_RGB', np.eye(3))):
        np.savetxt(folder / f'{name}.txt', matrix)
    np.savetxt(folder / 'Tr_T2RGB.txt', np.eye(4))


def test_splits_of_ms2_are_conditions(tmp_path):
    write_ms2(tmp_path, '_2021-a', 'test_day')
    write_ms2(tmp_path, '_2021-bb', 'test_night')
    model = make_bundle(tmp_path / 'model', 32, 64)
    source = f'ms2:{tmp_path},split=test_day+test_night'
    frames = list(open_source(source).frames())
    assert [f.condition for f in frames] == ['day'] * 3 + ['night'] * 3
    assert [f.apart for f in frames] == [True, False, False, True, False, False]
    assert frames[3].frame.stamp_ns - frames[2].frame.stamp_ns > 50e9
    camera = frames[0].frame.intrinsics
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (60, 61, 31, 15)
    raw = tmp_path / 'sync_data' / '_2021-bb' / 'thr' / 'img_left' / '000002.png'
    np.testing.assert_array_equal(frames[4].frame.image, cv2.imread(str(raw), -1))
    unit = run_task(Task(source, str(model.path)))
    assert (len(unit.rows), unit.rows.conditions) == (6, ['day', 'night'])
    keep = PipelineSettings(range_min=1e-3, range_max=1e6, process_shutter_frames=True)
    pipeline = Pipeline(load_engine(model, 'onnxruntime'), keep)
    column = unit.rows.columns.index('abs_rel')
    for k, item in enumerate(frames):
        pipeline.reset()
        depth = pipeline.process(item.frame).depth
        wanted = metrics.depth_metrics(depth, item.truth)['abs_rel']
        assert unit.rows.matrix()[k, column] == pytest.approx(wanted, rel=1e-9)
    later = list(open_source(source).frames(4))
    assert [f.index for f in later] == [4, 5]
    with pytest.raises(SettingsError, match='split=NAME'):
        open_source(f'ms2:{tmp_path},wings=2')
    with pytest.raises(DatasetError, match='test_rainy'):
        open_source(f'ms2:{tmp_path},split=test_rainy')


def test_vivid_as_published(tmp_path, shared):
    """The border is cut, and the network's depth goes straight to the size of the label."""
    golden = np.load(shared('golden/monother/preprocess.npz'))
    thermal, depth = golden['vivid/in/thermal_png16'], golden['vivid/in/depth_T_npy']
    write_vivid(tmp_path, thermal, depth)
    model = make_bundle(tmp_path / 'model', 112, 140)
    source = f'vivid:{tmp_path}'
    frame = next(iter(open_source(source).frames()))
    np.testing.assert_allclose(frame.truth, golden['vivid/test/depth'][0], atol=2e-6)
    whole = next(iter(open_source(source, SourceOptions(trim=False)).frames()))
    np.testing.assert_allclose(without_border(whole.truth), frame.truth)
    unit = run_task(Task(source, str(model.path)))
    # nothing is left out, although the pictures repeat as those of a closed shutter do
    assert (len(unit.rows), unit.skipped) == (3, {})
    pipeline = Pipeline(
        load_engine(model, 'onnxruntime'),
        PipelineSettings(range_min=1e-3, range_max=1e6, output_size='network'),
    )
    small = pipeline.process(frame.frame).depth
    large = cv2.resize(small, depth.shape[::-1], interpolation=cv2.INTER_LINEAR)
    wanted = metrics.depth_metrics(large, frame.truth)['abs_rel']
    found = unit.rows.matrix()[0, unit.rows.columns.index('abs_rel')]
    assert found == pytest.approx(wanted, rel=1e-9)


def test_networks_of_the_reference_are_resized_with_aligned_corners():
    rng = np.random.default_rng(1)
    truth = rng.uniform(2, 40, (50, 70)).astype(np.float32)
    small = rng.uniform(2, 40, (20, 30)).astype(np.float32)
    settings = EvaluationSettings(metrics=('depth',))
    exact = AlignedResizer()(small, np.empty(truth.shape, np.float32))
    edges = cv2.resize(small, (70, 50), interpolation=cv2.INTER_LINEAR)
    for aligned, large in ((True, exact), (False, edges)):
        row = FrameScorer(settings).score(small, None, truth, 0, 0, aligned=aligned)
        assert row[0] == pytest.approx(metrics.depth_metrics(large, truth)['abs_rel'], rel=1e-9)
