# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Properties that hold for every message, file and setting, searched for by hypothesis."""

from __future__ import annotations

import array
import struct
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('hypothesis')
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import (
    BundleError,
    CalibrationError,
    MessageError,
    SettingsError,
)
from monother_ros.core.range_points import sparse_depth
from monother_ros.core.tensor_file import read_tensors, write_tensors
from monother_ros.ros import parameter_specs
from monother_ros.ros.cloud import cloud_fields
from monother_ros.ros.messages import image_view, intrinsics_from_camera_info, set_stamp, stamp_ns
from monother_ros.ros.parameters import DepthNodeParameters
from monother_ros.ros.ranges import range_points, scan_points
from monother_ros.ros.scale import scale_from_message

# the same examples in every run: a failure in CI is one that can be looked at
COMMON = settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
ELEMENTS = {
    'mono8': ('u1', 1), 'mono16': ('u2', 1), 'rgb8': ('u1', 3), 'rgba16': ('u2', 4),
    '8SC2': ('i1', 2), '16SC1': ('i2', 1), '32SC3': ('i4', 3), '32FC1': ('f4', 1),
    '64FC2': ('f8', 2),
}  # fmt: skip
HEADER = SimpleNamespace(stamp=SimpleNamespace(sec=1, nanosec=2), frame_id='thermal')
FLOAT32 = st.floats(width=32, allow_nan=True, allow_infinity=True)
CODES = {1: 'i1', 2: 'u1', 3: 'i2', 4: 'u2', 5: 'i4', 6: 'u4', 7: 'f4', 8: 'f8'}


@st.composite
def images(draw):
    """An image message with any padding and byte order, and its pixels."""
    encoding = draw(st.sampled_from(sorted(ELEMENTS)))
    code, channels = ELEMENTS[encoding]
    height, width, padding = (draw(st.integers(*r)) for r in ((1, 9), (1, 9), (0, 7)))
    big = draw(st.booleans())
    dtype = np.dtype(code).newbyteorder('>' if big else '<')
    row = width * channels * dtype.itemsize
    data = draw(st.binary(min_size=height * (row + padding), max_size=height * (row + padding)))
    rows = [data[i * (row + padding) :][:row] for i in range(height)]
    shape = (height, width, channels) if channels > 1 else (height, width)
    pixels = np.frombuffer(b''.join(rows), dtype).reshape(shape)
    message = SimpleNamespace(
        header=HEADER, encoding=encoding, height=height, width=width, step=row + padding,
        is_bigendian=int(big), data=array.array('B', data),
    )  # fmt: skip
    return message, pixels, row


@COMMON
@given(images())
def test_pixels_are_those_of_the_message_whatever_padding_and_byte_order(made):
    message, pixels, _ = made
    seen = image_view(message)
    assert seen.dtype.isnative and seen.dtype == pixels.dtype.newbyteorder('=')
    np.testing.assert_array_equal(seen, pixels)


@COMMON
@given(images(), st.data())
def test_an_image_cut_off_anywhere_before_its_last_pixel_is_refused(made, data):
    message, _, row = made
    needed = (message.height - 1) * message.step + row
    message.data = message.data[: data.draw(st.integers(0, needed - 1))]
    with pytest.raises(MessageError, match='truncated'):
        image_view(message)


@COMMON
@given(images(), st.data())
def test_a_step_shorter_than_a_row_is_refused(made, data):
    message, _, row = made
    message.step = data.draw(st.integers(0, row - 1))
    with pytest.raises(MessageError, match='step'):
        image_view(message)


@st.composite
def clouds(draw):
    """A cloud with fields of any type and place, and its values."""
    names = draw(st.lists(st.sampled_from('xyzirt'), min_size=1, max_size=5, unique=True))
    kinds = [draw(st.sampled_from(sorted(CODES))) for _ in names]
    offset, fields = draw(st.integers(0, 3)), []
    for name, kind in zip(names, kinds, strict=True):
        fields.append(SimpleNamespace(name=name, offset=offset, datatype=kind, count=1))
        offset += np.dtype(CODES[kind]).itemsize + draw(st.integers(0, 3))
    height, width = draw(st.integers(1, 3)), draw(st.integers(1, 6))
    row = offset * width + draw(st.integers(0, 5))
    big = draw(st.booleans())
    data = draw(st.binary(min_size=row * height, max_size=row * height))
    order = '>' if big else '<'
    values = np.empty((height * width, len(names)), np.float32)
    for i, (field, kind) in enumerate(zip(fields, kinds, strict=True)):
        for point in range(height * width):
            place = point // width * row + point % width * offset + field.offset
            value = np.frombuffer(data, order + CODES[kind], 1, place)
            with np.errstate(over='ignore', invalid='ignore'):
                values[point, i] = value.astype(np.float32)[0]
    message = SimpleNamespace(
        header=HEADER, height=height, width=width, fields=fields, is_bigendian=big,
        point_step=offset, row_step=row, data=array.array('B', data), is_dense=True,
    )  # fmt: skip
    return message, names, values


@COMMON
@given(clouds())
def test_fields_of_a_cloud_are_those_of_the_message_whatever_their_places(made):
    message, names, values = made
    with np.errstate(over='ignore', invalid='ignore'):
        np.testing.assert_array_equal(cloud_fields(message, names), values)


@COMMON
@given(clouds(), st.data())
def test_a_cloud_that_is_cut_off_or_says_to_be_larger_is_refused(made, data):
    message, names, _ = made
    if data.draw(st.booleans()):
        last = message.height * message.row_step - message.row_step
        needed = last + message.width * message.point_step
        message.data = message.data[: data.draw(st.integers(0, needed - 1))]
    else:
        message.height = data.draw(st.integers(message.height + 1, 2**32 - 1))
    with pytest.raises(MessageError):
        cloud_fields(message, names)


@COMMON
@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.lists(st.floats(), min_size=9, max_size=9),
    st.lists(st.floats(), max_size=14),
    st.sampled_from(['plumb_bob', 'rational_polynomial', 'equidistant', '', 'radtan', 'x']),
)
def test_a_calibration_is_refused_or_is_that_of_a_camera(width, height, k, d, model):
    message = SimpleNamespace(width=width, height=height, k=k, d=d, distortion_model=model)
    try:
        camera = intrinsics_from_camera_info(message)
    except CalibrationError as err:
        assert len(str(err).split()) >= 4
        return
    assert (camera.width, camera.height) == (width, height) and min(width, height) > 0
    assert camera.fx == k[0] > 0 and camera.fy == k[4] > 0 and np.isfinite(camera.matrix).all()


@COMMON
@given(
    hnp.arrays(np.float32, st.tuples(st.integers(0, 20), st.just(3)), elements=FLOAT32),
    st.floats(0.3, 3.0),
)
def test_points_of_any_value_give_a_depth_image_of_points_that_exist(points, focal):
    camera = Intrinsics(16, 12, 16 * focal, 16 * focal, 7.5, 5.5)
    with np.errstate(over='ignore', invalid='ignore'):
        seen = sparse_depth(points, None, camera)
    known = seen[seen > 0]
    assert seen.shape == (12, 16) and np.isfinite(seen).all() and (seen >= 0).all()
    assert np.isin(known, points[:, 2]).all() and known.size <= len(points)


@COMMON
@given(st.lists(FLOAT32, max_size=30), FLOAT32, FLOAT32, FLOAT32, FLOAT32)
def test_beams_of_a_scan_lie_at_their_range_or_are_left_out(ranges, start, step, low, high):
    message = SimpleNamespace(
        ranges=array.array('f', ranges), angle_min=start, angle_increment=step,
        range_min=low, range_max=high,
    )  # fmt: skip
    try:
        points = scan_points(message).points
    except MessageError:
        assert not (np.isfinite(start) and np.isfinite(step))
        return
    assert len(points) <= len(ranges) and np.isfinite(points).all()
    distances = np.hypot(points[:, 0].astype(np.float64), points[:, 1])
    found = [r for r in ranges if np.isfinite(r) and r > 0]
    assert all(np.isclose(found, d, rtol=1e-5, atol=1e-38).any() for d in distances)


@COMMON
@given(FLOAT32, FLOAT32, FLOAT32, FLOAT32)
def test_a_single_beam_gives_its_point_within_its_limits_or_none(value, low, high, view):
    message = SimpleNamespace(range=value, min_range=low, max_range=high, field_of_view=view)
    found = range_points(message)
    assert 0 < found.beam < np.pi and found.points.shape[1] == 3
    if len(found.points):
        assert found.points.tolist() == [[value, 0.0, 0.0]] and value >= low and value > 0
        assert not 0 < high <= value


@COMMON
@given(st.floats(), st.floats(), st.floats())
def test_a_scale_is_silent_refused_or_finite(x, y, z):
    message = SimpleNamespace(header=HEADER, vector=SimpleNamespace(x=x, y=y, z=z))
    try:
        estimate = scale_from_message(message, 'language')
    except MessageError as err:
        assert 'language' in str(err)
        return
    assert estimate.speaks != np.isnan(x)
    if estimate.speaks:
        assert np.isfinite([estimate.scale, estimate.shift, estimate.sigma]).all()
        assert estimate.scale > 0 and estimate.sigma > 0


@COMMON
@given(st.integers(0, 2**31 * 10**9 - 1))
def test_a_time_written_into_a_header_is_read_back(nanoseconds):
    header = SimpleNamespace(stamp=SimpleNamespace(sec=0, nanosec=0))
    set_stamp(header, nanoseconds)
    assert stamp_ns(header) == nanoseconds and 0 <= header.stamp.nanosec < 10**9


NUMBERS = {
    name: spec
    for name, spec in parameter_specs.specs(DepthNodeParameters).items()
    if isinstance(parameter_specs.defaults(DepthNodeParameters)[name], float)
}


@COMMON
@given(st.dictionaries(st.sampled_from(sorted(NUMBERS)), st.floats(), min_size=1, max_size=3))
def test_parameters_are_taken_within_their_limits_only_and_together(values):
    before = DepthNodeParameters()
    allowed = all(
        np.isfinite(v)
        and (NUMBERS[k].low is None or v >= NUMBERS[k].low)
        and (NUMBERS[k].high is None or v <= NUMBERS[k].high)
        for k, v in values.items()
    )
    try:
        after = before.changed(values)
    except SettingsError as err:
        # out of range, or two that contradict each other; the message names one of them
        assert not allowed or any(name.split('_')[0] in str(err) for name in values)
        assert before == DepthNodeParameters()
        return
    assert allowed and all(getattr(after, k) == v for k, v in values.items())


ARRAYS = hnp.arrays(
    st.sampled_from([np.float32, np.float16, np.int64, np.uint8]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)


@COMMON
@given(st.dictionaries(st.text('abc.é', min_size=1, max_size=6), ARRAYS, min_size=1, max_size=4))
def test_arrays_written_to_a_file_are_read_back(tmp_path, arrays):
    path = tmp_path / 'weights.safetensors'
    write_tensors(path, arrays)
    found = read_tensors(path)
    assert found.keys() == arrays.keys()
    for name, value in arrays.items():
        assert found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], value)


@COMMON
@given(st.data())
def test_a_file_of_arrays_that_is_cut_off_or_longer_is_refused(tmp_path, data):
    path = tmp_path / 'weights.safetensors'
    write_tensors(path, {'a': np.arange(6.0, dtype=np.float32), 'b': np.zeros((2, 3), np.int64)})
    whole = path.read_bytes()
    if data.draw(st.booleans()):
        path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    else:
        path.write_bytes(whole + data.draw(st.binary(min_size=1, max_size=9)))
    with pytest.raises(BundleError):
        read_tensors(path)


@COMMON
@given(st.binary(max_size=40), st.integers(0, 2**64 - 1))
def test_any_header_of_a_file_of_arrays_is_refused(tmp_path, head, length):
    path = tmp_path / 'weights.safetensors'
    path.write_bytes(struct.pack('<Q', length) + head)
    assume(head.strip() not in (b'{}', b''))
    with pytest.raises(BundleError):
        read_tensors(path)
