# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import cv2
import numpy as np
import pytest

from monother_ros.core.bundle import Normalisation
from monother_ros.core.errors import ThermalError
from monother_ros.core.thermal import Normaliser, percentile_bounds

SECOND = 1_000_000_000


def normaliser(method='percentile', low=2.0, high=98.0, size=(32, 24), **fields):
    return Normaliser(Normalisation(method, low, high, **fields), size)


def reference(raw, low, high):
    value = raw.astype(np.float64)
    return np.clip((value - low) / (high - low), 0, 1)


@pytest.mark.parametrize('name', ['ms2', 'vivid'])
def test_same_as_the_reference_implementation(shared, name):
    with np.load(shared('golden/monother/preprocess.npz')) as golden:
        raw = golden[f'{name}/in/thermal_png16']
        expected = golden['ms2/val/image' if name == 'ms2' else 'vivid/test/image']
    height, width = raw.shape
    out = normaliser(size=(width, height), channels=3)(raw, 0)
    assert out.shape == expected.shape
    assert np.abs(out - expected).max() < 2e-6


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_percentiles_are_exact(dtype):
    rng = np.random.default_rng(5)
    for _ in range(60):
        shape = tuple(rng.integers(1, 40, 2))
        top = int(rng.integers(1, np.iinfo(dtype).max + 1))
        raw = rng.integers(0, top, shape, dtype=dtype, endpoint=True)
        low, high = np.sort(rng.uniform(0, 100, 2))
        expected = np.percentile(raw.astype(np.float64), [low, high])
        np.testing.assert_allclose(percentile_bounds(raw, low, high), expected, atol=1e-9)
    assert percentile_bounds(raw, 0, 100) == (raw.min(), raw.max())


def test_narrow_window_high_up_in_16_bit_loses_nothing():
    rng = np.random.default_rng(1)
    raw = (60000 + rng.normal(0, 12, (48, 64))).astype(np.uint16)
    out = normaliser(size=(64, 48))(raw, 0)[0]
    expected = reference(raw, *np.percentile(raw, [2, 98]))
    assert np.abs(out - expected).max() < 1e-6


def test_clipping_comes_before_resizing():
    raw = np.full((48, 64), 1000, np.uint16)
    raw[:, ::2] = 1100
    raw[10, 10] = 65000
    out = normaliser('fixed', 1000, 1100)(raw, 0)[0]
    assert out[5, 5] == pytest.approx((1 + 0 + 1 + 0) / 4)


def test_scale_of_the_counts_does_not_matter():
    rng = np.random.default_rng(2)
    raw = rng.integers(100, 2000, (48, 64)).astype(np.uint16)
    a, b = normaliser()(raw, 0), normaliser()((raw * 20 + 5000).astype(np.uint16), 0)
    np.testing.assert_allclose(a, b, atol=2e-6)


def test_mean_std_channels_and_given_memory():
    raw = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64)
    plain = normaliser()(raw, 0)
    out = np.full((3, 24, 32), np.nan, np.float32)
    made = normaliser(channels=3, mean=0.45, std=0.225)(raw, 0, out)
    assert made is out
    np.testing.assert_allclose(out[1], (plain[0] - 0.45) / 0.225, atol=1e-5)
    np.testing.assert_array_equal(out[0], out[2])


@pytest.mark.parametrize('size', [(64, 48), (32, 24), (30, 26), (128, 96), (32, 96)])
def test_every_network_size(size):
    rng = np.random.default_rng(3)
    raw = cv2.GaussianBlur(rng.uniform(0, 60000, (48, 64)), (0, 0), 6).astype(np.uint16)
    out = normaliser(size=size)(raw, 0)
    assert out.shape == (1, size[1], size[0])
    assert 0 <= out.min() < 0.1 < 0.9 < out.max() <= 1


def test_aligned_resize_as_the_reference_network_does_it():
    torch = pytest.importorskip('torch', reason='torch is not installed')
    rng = np.random.default_rng(8)
    raw = rng.integers(5000, 9000, (48, 64)).astype(np.uint16)
    fields = {'mean': 0.45, 'std': 0.225, 'channels': 3, 'resize': 'aligned'}
    for size in ((56, 42), (70, 56), (64, 48)):
        out = normaliser(size=size, **fields)(raw, 0)
        scaled = torch.from_numpy(reference(raw, *np.percentile(raw, [2, 98])))[None, None]
        expected = torch.nn.functional.interpolate(
            scaled, size[::-1], mode='bilinear', align_corners=True
        )
        np.testing.assert_allclose(out, (expected[0].expand(3, -1, -1) - 0.45) / 0.225, atol=1e-5)
    area = normaliser(size=(56, 42), **{**fields, 'resize': 'area'})(raw, 0)
    assert np.abs(area - normaliser(size=(56, 42), **fields)(raw, 0)).max() > 0.3


def test_padded_rows_and_read_only_views():
    rng = np.random.default_rng(4)
    wide = rng.integers(0, 60000, (48, 80)).astype(np.uint16)
    view = wide[:, :64]
    view.flags.writeable = False
    np.testing.assert_array_equal(normaliser()(view, 0), normaliser()(view.copy(), 0))


@pytest.mark.parametrize('method', ['percentile', 'stable_percentile'])
@pytest.mark.parametrize('value', [0, 77, 65535])
def test_flat_frame_is_finite(method, value):
    out = normaliser(method)(np.full((48, 64), value, np.uint16), 0)
    assert np.isfinite(out).all()


def test_image_size_may_change():
    scaler = normaliser()
    for shape in ((48, 64), (24, 32), (480, 640), (48, 64)):
        assert scaler(np.ones(shape, np.uint8), 0).shape == (1, 24, 32)


@pytest.mark.parametrize(
    'raw',
    [
        np.zeros((4, 4, 3), np.uint8),
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4), np.int16),
        np.zeros((0, 4), np.uint16),
    ],
)
def test_what_is_no_thermal_picture(raw):
    with pytest.raises(ThermalError, match=r'must be .height, width. uint8 or uint16'):
        normaliser()(raw, 0)


def test_wrong_memory():
    with pytest.raises(ThermalError, match='out must be'):
        normaliser()(np.ones((4, 4), np.uint8), 0, np.empty((1, 24, 31), np.float32))


def test_fixed_range():
    raw = np.array([[0, 100], [150, 60000]], np.uint16)
    out = normaliser('fixed', 100, 200, size=(2, 2))(raw, 0)[0]
    np.testing.assert_allclose(out, [[0, 0], [0.5, 1]])


def test_fixed_counts_refuse_8_bit():
    with pytest.raises(ThermalError, match='switch the driver to 16 bit'):
        normaliser('fixed', 2000, 4000)(np.ones((4, 4), np.uint8), 0)
    normaliser('fixed', 0, 255)(np.ones((4, 4), np.uint8), 0)


def level(scaler, raw, stamp, value):
    """What a count becomes in this frame."""
    scaler(raw, stamp)
    low, high = scaler.bounds
    return (value - low) / (high - low)


def test_stable_flickers_less_on_a_real_drive(shared):
    frames = [
        cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        for path in sorted(shared('data/thermal_sequence').glob('*.png'))
    ]
    steps = {}
    for method in ('percentile', 'stable_percentile'):
        scaler = normaliser(method, size=(320, 256))
        values = [level(scaler, f, i * SECOND // 30, 3000) for i, f in enumerate(frames)]
        steps[method] = np.abs(np.diff(values)).mean()
        assert np.all((np.array(values) > 0.4) & (np.array(values) < 0.7))
    assert steps['stable_percentile'] < 0.35 * steps['percentile']


def scene(seed=0, offset=0):
    rng = np.random.default_rng(seed)
    return (rng.integers(10000, 12000, (48, 64)) + offset).astype(np.uint16)


def test_stable_follows_stamps_not_frames():
    slow, fast = normaliser('stable_percentile'), normaliser('stable_percentile')
    first, second = scene(), scene(offset=150)
    slow(first, 0)
    fast(first, 0)
    slow(second, SECOND)
    for i in range(1, 11):
        fast(second, i * SECOND // 10)
    np.testing.assert_allclose(slow.bounds, fast.bounds, atol=0.5)
    gain = (slow.bounds[0] - percentile_bounds(first, 2, 98)[0]) / 150
    assert gain == pytest.approx(1 - np.exp(-1), abs=0.01)


def test_stable_moves_with_an_offset_jump():
    scaler = normaliser('stable_percentile')
    for i in range(5):
        before = scaler(scene(), i * SECOND // 30)
    after = scaler(scene(offset=900), 6 * SECOND // 30)
    np.testing.assert_allclose(before, after, atol=0.01)


def test_stable_locks_on_anew_where_it_would_saturate():
    scaler = normaliser('stable_percentile')
    scaler(scene(), 0)
    hot = (scene().astype(np.int64) * 5).astype(np.uint16)
    scaler(hot, SECOND // 30)
    np.testing.assert_allclose(scaler.bounds, percentile_bounds(hot, 2, 98))


def test_stable_is_not_taken_by_a_flat_frame():
    scaler = normaliser('stable_percentile')
    scaler(scene(), 0)
    low, high = scaler.bounds
    scaler(np.full((48, 64), 11000, np.uint16), SECOND // 30)
    assert scaler.bounds[1] - scaler.bounds[0] > 0.9 * (high - low)


def test_stable_starts_anew_after_a_time_jump_and_reset():
    scaler = normaliser('stable_percentile')
    scaler(scene(), 100 * SECOND)
    other = scene(1, offset=300)
    scaler(other, 10 * SECOND)
    np.testing.assert_allclose(scaler.bounds, percentile_bounds(other, 2, 98))
    scaler.reset()
    third = scene(2, offset=500)
    scaler(third, 10 * SECOND + 1)
    np.testing.assert_allclose(scaler.bounds, percentile_bounds(third, 2, 98))


def test_stable_without_time_constant_is_plain():
    scaler = normaliser('stable_percentile', time_constant=0.0)
    for i in range(3):
        raw = scene(i, 40 * i)
        np.testing.assert_array_equal(scaler(raw, i), normaliser()(raw, 0))
