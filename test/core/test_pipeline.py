# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import cv2
import numpy as np
import pytest
from stub_engine import CAMERA, EVERYTHING, FRAME, StubEngine, frame

from monother_ros.core.bundle import Normalisation, TensorSpec
from monother_ros.core.camera import Intrinsics
from monother_ros.core.cloud import CloudBuilder
from monother_ros.core.errors import EngineError, SettingsError, ThermalError
from monother_ros.core.pipeline import (
    Pipeline,
    PipelineSettings,
    RgbFrame,
    ThermalFrame,
    Wanted,
)
from monother_ros.core.resize import AlignedResizer
from monother_ros.core.shutter import ShutterState
from monother_ros.core.thermal import Normaliser


def test_all_outputs_at_image_size(tmp_path):
    engine = StubEngine(tmp_path, confidence=0.75)
    source = frame()
    result = Pipeline(engine).process(source, EVERYTHING)
    assert result.skipped is None
    assert result.revision == 'r1'
    assert result.depth.shape == result.confidence.shape == (48, 64)
    assert (result.depth == 10).all()
    assert (result.confidence == 0.75).all()
    assert result.color.shape == (48, 64, 3)
    assert result.intrinsics == CAMERA
    expected = CloudBuilder(CAMERA).build(result.depth, result.confidence, source.image)
    np.testing.assert_array_equal(result.cloud, expected)
    stages = {'shutter', 'normalise', 'engine', 'scale', 'resize', 'limits', 'cloud', 'color'}
    assert result.timings.keys() == stages
    assert all(v >= 0 for v in result.timings.values())


def test_network_gets_what_the_normaliser_makes(tmp_path):
    engine, source = StubEngine(tmp_path), frame()
    Pipeline(engine).process(source)
    expected = Normaliser(engine.bundle.normalisation, (32, 24))(source.image, 0)
    np.testing.assert_array_equal(engine.inputs[0]['thermal'][0], expected)


def test_frames_prepared_ahead_come_out_as_others_do(tmp_path):
    rng = np.random.default_rng(4)
    pictures = [rng.integers(3000, 3000 + 50 * k, (48, 64)).astype(np.uint16) for k in range(2, 7)]
    frames = [ThermalFrame(p, k * 10**8, '', CAMERA) for k, p in enumerate(pictures)]
    ahead, plain = StubEngine(tmp_path), StubEngine(tmp_path)
    settings = PipelineSettings(process_shutter_frames=True)
    first, second = Pipeline(ahead, settings), Pipeline(plain, settings)
    prepared = [first.prepare(f, reset=k == 3) for k, f in enumerate(frames)]
    for k, f in enumerate(frames):
        if k == 3:
            second.reset()
        mine, theirs = first.process(prepared[k]), second.process(f)
        np.testing.assert_array_equal(ahead.inputs[k]['thermal'], plain.inputs[k]['thermal'])
        assert (mine.shutter, mine.scale, mine.revision) == (theirs.shutter, theirs.scale, 'r1')
        assert mine.timings.keys() == theirs.timings.keys()
    assert len({p.tensor.tobytes() for p in prepared}) == len(frames)


def test_what_cannot_be_prepared_is_told_when_it_is_processed(tmp_path):
    pipeline = Pipeline(StubEngine(tmp_path))
    wrong = pipeline.prepare(ThermalFrame(np.zeros((48, 64, 3), np.uint16), 0))
    flat = pipeline.prepare(ThermalFrame(np.full((48, 64), 3000, np.uint16), 1))
    with pytest.raises(ThermalError):
        pipeline.process(wrong)
    result = pipeline.process(flat)
    assert result.skipped is not None and result.skipped.startswith('shutter')
    assert result.depth is None


def test_half_precision_input(tmp_path):
    engine = StubEngine(tmp_path, inputs=(TensorSpec('x', (1, 1, 24, 32), 'float16'),))
    Pipeline(engine).process(frame())
    assert engine.inputs[0]['x'].dtype == np.float16


def test_only_what_is_wanted_is_computed(tmp_path):
    engine = StubEngine(tmp_path)
    pipeline = Pipeline(engine)
    asked = []

    def allocate(kind, shape, dtype):
        asked.append((kind, shape, np.dtype(dtype).name))
        return np.empty(shape, dtype)

    nothing = pipeline.process(frame(0), Wanted(False, False), allocate=allocate)
    assert nothing.skipped == 'nothing is wanted'
    assert engine.inputs == []
    only = pipeline.process(frame(1), Wanted(False, True), allocate=allocate)
    assert only.depth is None
    assert only.cloud is None
    assert only.confidence is not None
    assert 'limits' not in only.timings
    assert asked == [('confidence', (48, 64), 'float32')]
    asked.clear()
    cloud = pipeline.process(frame(2), Wanted(False, False, cloud=True), allocate=allocate)
    assert asked == [('cloud', (48, 64, 5), 'float32')]
    assert (cloud.cloud[..., 2] == 10).all()
    assert (cloud.cloud[..., 3] == 1).all()
    asked.clear()
    color = pipeline.process(frame(3), Wanted(False, False, color=True), allocate=allocate)
    assert asked == [('color', (48, 64, 3), 'uint8')]
    assert color.color.any()


def test_outputs_land_in_given_memory(tmp_path):
    memory = {
        'depth': np.empty((48, 64), np.float32),
        'confidence': np.empty((48, 64), np.float32),
        'cloud': np.empty((48, 64, 5), np.float32),
        'color': np.empty((48, 64, 3), np.uint8),
    }
    pipeline = Pipeline(StubEngine(tmp_path))
    for size in ('image', 'network'):
        pipeline.settings = PipelineSettings(output_size=size)
        if size == 'network':
            memory = {k: np.empty((24, 32, *v.shape[2:]), v.dtype) for k, v in memory.items()}

        def allocate(kind, shape, dtype, memory=memory):
            assert memory[kind].shape == shape
            return memory[kind]

        result = pipeline.process(frame(size == 'network'), EVERYTHING, allocate=allocate)
        for kind, array in memory.items():
            assert getattr(result, kind) is array
        assert (memory['depth'] == 10).all()


def test_results_may_be_kept(tmp_path):
    engine = StubEngine(tmp_path)
    pipeline = Pipeline(engine)
    first = pipeline.process(frame(0), EVERYTHING)
    engine.depth = engine.depth * 2
    second = pipeline.process(frame(1), EVERYTHING)
    assert (first.depth == 10).all()
    assert (second.depth == 20).all()
    assert (first.cloud[..., 2] == 10).all()


def test_limits_make_unknown_and_change_live(tmp_path):
    depth = np.tile(np.linspace(0.1, 100, 32, dtype=np.float32), (24, 1))
    depth[3, 3], depth[4, 4] = np.nan, np.inf
    confidence = np.tile(np.linspace(0, 1, 24, dtype=np.float32)[:, None], (1, 32))
    engine = StubEngine(tmp_path, depth, confidence)
    settings = PipelineSettings(output_size='network')
    pipeline = Pipeline(engine, settings)
    result = pipeline.process(frame(0))
    inside = (depth >= 0.5) & (depth <= 80)
    np.testing.assert_array_equal(np.isfinite(result.depth), inside)
    np.testing.assert_array_equal(result.depth[inside], depth[inside])
    pipeline.settings = PipelineSettings(2.0, 50.0, 0.5, output_size='network')
    result = pipeline.process(frame(1))
    inside = (depth >= 2) & (depth <= 50) & (confidence >= 0.5)
    np.testing.assert_array_equal(np.isfinite(result.depth), inside)
    np.testing.assert_array_equal(result.confidence, confidence)
    depth_only = pipeline.process(frame(2), Wanted(True, False))
    np.testing.assert_array_equal(np.isfinite(depth_only.depth), inside)


def test_no_value_outside_of_the_range_after_resizing(tmp_path):
    depth = np.random.default_rng(0).choice([0.2, 1, 20, 200], (24, 32)).astype(np.float32)
    result = Pipeline(StubEngine(tmp_path, depth)).process(frame())
    known = result.depth[np.isfinite(result.depth)]
    assert 0 < known.size < result.depth.size
    assert known.min() >= 0.5
    assert known.max() <= 80


def test_model_without_confidence(tmp_path):
    engine = StubEngine(tmp_path, confidence=None, outputs={'depth': 'depth'})
    pipeline = Pipeline(engine, PipelineSettings(confidence_min=0.5))
    result = pipeline.process(frame(), EVERYTHING)
    assert result.confidence is None
    assert (result.depth == 10).all()
    assert np.isnan(result.cloud[..., 3]).all()


def test_focal_length_corrects_scale(tmp_path):
    engine = StubEngine(tmp_path, focal_length=20.0)
    pipeline = Pipeline(engine)
    result = pipeline.process(frame(0))  # 50 px at width 64 are 25 px at width 32
    assert result.scale == pytest.approx(1.25)
    np.testing.assert_allclose(result.depth, 12.5)
    without = pipeline.process(frame(1, None))
    assert without.scale == 1
    assert (without.depth == 10).all()


def test_without_intrinsics_there_is_depth_but_no_cloud(tmp_path):
    result = Pipeline(StubEngine(tmp_path)).process(frame(0, None), EVERYTHING)
    assert result.cloud is None
    assert result.intrinsics is None
    assert result.calibration_error is None
    assert (result.depth == 10).all()


def test_calibration_of_another_size(tmp_path):
    pipeline = Pipeline(StubEngine(tmp_path))
    result = pipeline.process(frame(0, CAMERA.scaled(640, 480)), EVERYTHING)
    assert (result.intrinsics.width, result.intrinsics.fx) == (64, pytest.approx(50))
    wrong = Intrinsics(100, 40, 50.0, 50.0, 0.0, 0.0)
    result = pipeline.process(frame(1, wrong), EVERYTHING)
    assert result.cloud is None
    assert 'another aspect' in result.calibration_error
    assert (result.depth == 10).all()


def test_camera_that_changes_its_size(tmp_path):
    pipeline = Pipeline(StubEngine(tmp_path))
    for i, (shape, camera) in enumerate(
        [
            ((48, 64), CAMERA),
            ((24, 32), CAMERA.scaled(32, 24)),
            ((96, 128), CAMERA),
            ((48, 64), CAMERA),
        ]
    ):
        result = pipeline.process(frame(i, camera, shape), EVERYTHING)
        assert result.depth.shape == shape
        assert result.cloud.shape == (*shape, 5)
        known = result.cloud.reshape(-1, 5)
        pixels = result.intrinsics.project(known[:, :3])
        v, u = np.mgrid[: shape[0], : shape[1]]
        np.testing.assert_allclose(pixels, np.c_[u.ravel(), v.ravel()], atol=0.05)


def test_network_size_output_has_its_own_camera(tmp_path):
    pipeline = Pipeline(StubEngine(tmp_path), PipelineSettings(output_size='network'))
    result = pipeline.process(frame(), EVERYTHING)
    assert result.depth.shape == (24, 32)
    assert result.intrinsics == CAMERA.scaled(32, 24)
    assert result.cloud.shape == (24, 32, 5)
    assert 19000 < result.cloud[..., 4].min() < result.cloud[..., 4].max() < 24000


def test_aligned_corners_for_input_outputs_and_camera(tmp_path):
    rng = np.random.default_rng(0)
    depth = cv2.GaussianBlur(rng.uniform(2, 60, (24, 32)).astype(np.float32), (0, 0), 1)
    confidence = rng.uniform(0, 1, (24, 32)).astype(np.float32)
    spec = Normalisation('percentile', 2, 98, resize='aligned')
    engine = StubEngine(tmp_path, depth, confidence, normalisation=spec)
    pipeline, source = Pipeline(engine), frame(0)
    result = pipeline.process(source, EVERYTHING)
    expected = Normaliser(spec, (32, 24))(source.image, 0)
    np.testing.assert_array_equal(engine.inputs[0]['thermal'][0], expected)
    for small, large in ((depth, result.depth), (confidence, result.confidence)):
        np.testing.assert_allclose(large[::47, ::63], small[::23, ::31], rtol=1e-5)  # corners
        np.testing.assert_array_equal(
            large, AlignedResizer()(small, np.empty((48, 64), np.float32))
        )
    assert result.intrinsics == CAMERA

    pipeline.settings = PipelineSettings(output_size='network')
    source = frame(1)
    result = pipeline.process(source, EVERYTHING)
    camera = result.intrinsics
    assert (camera.width, camera.height) == (32, 24)
    # a corner of the image is the same corner of the small picture, so the rays are equal
    np.testing.assert_allclose(camera.rays()[::23, ::31], CAMERA.rays()[::47, ::63], atol=1e-6)
    np.testing.assert_array_equal(result.cloud[::23, ::31, 4], source.image[::47, ::63])


def test_shutter_frames_are_reported_and_skipped(tmp_path):
    engine = StubEngine(tmp_path)
    pipeline = Pipeline(engine)
    first = frame(0)
    assert pipeline.process(first).shutter is ShutterState.OPEN
    frozen = ThermalFrame(first.image, FRAME, 't', CAMERA)
    result = pipeline.process(frozen, EVERYTHING)
    assert result.shutter is ShutterState.FROZEN
    assert result.skipped == 'shutter: frozen'
    assert result.depth is None
    assert len(engine.inputs) == 1
    flat = ThermalFrame(np.full((48, 64), 9, np.uint16), 2 * FRAME, 't', CAMERA)
    assert pipeline.process(flat).skipped == 'shutter: flat'
    after = frame(3)
    jumped = ThermalFrame(after.image + np.uint16(800), 3 * FRAME, 't', CAMERA)
    assert pipeline.process(jumped).skipped == 'shutter: jump'
    assert pipeline.process(ThermalFrame(frame(4).image + np.uint16(800), 4 * FRAME)).depth.any()


def test_shutter_frames_on_demand(tmp_path):
    pipeline = Pipeline(StubEngine(tmp_path), PipelineSettings(process_shutter_frames=True))
    first = frame(0)
    pipeline.process(first)
    result = pipeline.process(ThermalFrame(first.image, FRAME))
    assert result.shutter is ShutterState.FROZEN
    assert result.skipped is None
    assert result.depth is not None


def test_errors_pass_through_and_the_next_frame_works(tmp_path):
    engine = StubEngine(tmp_path)
    pipeline = Pipeline(engine)
    with pytest.raises(ThermalError):
        pipeline.process(ThermalFrame(np.zeros((4, 4, 3), np.uint8), 0))
    infer = engine.infer

    def fail(inputs):
        raise EngineError('out of memory')

    engine.infer = fail
    with pytest.raises(EngineError):
        pipeline.process(frame(1))
    engine.infer = infer
    assert pipeline.process(frame(2)).depth is not None


def test_reset_forgets_earlier_frames(tmp_path):
    pipeline = Pipeline(StubEngine(tmp_path))
    first = frame(0)
    pipeline.process(first)
    pipeline.reset()
    assert pipeline.process(ThermalFrame(first.image, FRAME)).shutter is ShutterState.OPEN


def test_cloud_with_colour(tmp_path):
    pipeline = Pipeline(StubEngine(tmp_path))
    picture = np.full((48, 64, 3), (200, 100, 50), np.uint8)
    rgb = RgbFrame(picture, 0, 'rgb', CAMERA, np.eye(4))
    result = pipeline.process(frame(0), EVERYTHING, rgb)
    assert result.cloud.shape == (48, 64, 6)
    colour = np.ascontiguousarray(result.cloud[20, 30, 5:]).view(np.uint32)[0]
    assert colour == (200 << 16) + (100 << 8) + 50
    for missing in ({'intrinsics': None}, {'extrinsics': None}):
        fields = {'intrinsics': CAMERA, 'extrinsics': np.eye(4)} | missing
        result = pipeline.process(frame(1), EVERYTHING, RgbFrame(picture, 0, 'rgb', **fields))
        assert result.cloud.shape == (48, 64, 5)


def test_8_bit_camera(tmp_path):
    result = Pipeline(StubEngine(tmp_path)).process(frame(dtype=np.uint8), EVERYTHING)
    assert result.depth is not None
    assert result.cloud[..., 4].max() <= 255


@pytest.mark.parametrize(
    'fields',
    [
        {'range_min': 0.0},
        {'range_min': 90.0},
        {'range_max': float('inf')},
        {'range_max': float('nan')},
        {'confidence_min': 1.5},
        {'confidence_min': float('nan')},
        {'output_size': 'huge'},
    ],
)
def test_settings_that_make_no_sense(fields):
    with pytest.raises(SettingsError, match='must be'):
        PipelineSettings(**fields)


def test_real_drive_is_finite_in_range_and_steady(shared, tmp_path):
    from bundles import make_bundle

    from monother_ros.engines.select import load_engine

    bundle = make_bundle(tmp_path / 'm', method='stable_percentile')
    frames = [
        cv2.imread(str(p), cv2.IMREAD_UNCHANGED)
        for p in sorted(shared('data/thermal_sequence').glob('*.png'))
    ]
    camera = Intrinsics(640, 512, 500.0, 500.0, 319.5, 255.5)
    with load_engine(bundle) as engine:
        pipeline, last = Pipeline(engine), None
        for i, raw in enumerate(frames):
            result = pipeline.process(ThermalFrame(raw, i * FRAME, 't', camera), EVERYTHING)
            assert result.skipped is None
            assert np.isfinite(result.depth).all()
            assert 1.999 < result.depth.min() < result.depth.max() < 32.001
            if last is not None:
                assert np.abs(result.depth - last).mean() < 0.5
            last = result.depth
