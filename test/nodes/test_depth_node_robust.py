# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the depth node survives: broken messages, calibrations, time, cameras and engines."""

from __future__ import annotations

import array
import time

import numpy as np
import pytest

pytest.importorskip('rclpy')
from depth_rig import FRAME, SECOND, depth_of, image_message, info_message, picture, stamps
from sensor_msgs.msg import CameraInfo, Image

from monother_ros.core.errors import EngineError
from monother_ros.nodes.worker import LATE_REASON
from monother_ros.ros.messages import set_stamp, stamp_ns


@pytest.fixture
def rig(make_rig):
    rig = make_rig(silence_timeout=0.5)
    rig.stamp = time.time_ns()
    rig.listen('depth/image_raw')
    return rig.active().matched()


def _drops(rig):
    return rig.node.statistics.drops


def test_broken_images_are_counted_by_reason_and_the_next_good_one_gives_depth(rig):
    good = picture(1)
    truncated = image_message(good, 0)
    truncated.data = array.array('B', truncated.data[:1000])
    unknown = image_message(good, 0, 'thermal99')
    step = image_message(good, 0)
    step.step = 10
    empty = Image(encoding='mono16')
    colours = image_message(np.zeros((128, 160, 2), np.float32), 0, '32FC2')
    cases = {
        'unusable image (truncated)': truncated,
        'unusable image (encoding)': unknown,
        'unusable image (step)': step,
        'unusable image (empty)': empty,
        'unusable image (thermal picture)': colours,
    }
    for reason, msg in cases.items():
        msg.header.frame_id = FRAME
        set_stamp(msg.header, rig.next_stamp())
        rig.image.publish(msg)
        rig.until(lambda r=reason: _drops(rig).get(r) == 1, what=reason)
        # the reason is in diagnostics, as an error while it lasts
        rig.until(lambda r=reason: rig.value('depth', f'dropped: {r}') == '1')
        assert rig.level('depth') == 2
    rig.first('depth/image_raw')
    rig.until(lambda: rig.level('depth') == 0, tick=rig.shoot, what='recovery')
    assert rig.node.stage == 'active'


def test_an_image_of_another_size_is_taken(rig):
    assert rig.first('depth/image_raw').width == 160
    rig.until(
        lambda: rig.received['depth/image_raw'][-1].width == 96,
        tick=lambda: rig.shoot(96, 80),
    )
    assert depth_of(rig.received['depth/image_raw'][-1]).shape == (80, 96)


@pytest.mark.parametrize(
    ('case', 'words'),
    [
        ('missing', 'no camera_info on'),
        ('zero', 'not calibrated'),
        ('other shape', 'another aspect'),
    ],
)
def test_without_usable_camera_info_there_is_depth_but_no_cloud(rig, case, words):
    rig.listen('points', 'depth/camera_info')
    rig.matched()

    def shoot():
        if case == 'zero':
            rig.info.publish(CameraInfo(width=160, height=128))
        elif case == 'other shape':
            rig.info.publish(info_message(200, 128))
        rig.shoot(info=False)

    rig.until(lambda: len(rig.received['depth/image_raw']) > 3, tick=shoot)
    rig.until(lambda: words in rig.message('thermal input'), tick=shoot, what=words)
    assert rig.level('thermal input') == 1
    assert not rig.received['points'] and not rig.received['depth/camera_info']
    # calibrated now: the cloud comes
    rig.first('points')
    rig.until(lambda: rig.value('thermal input', 'calibration') == 'known', tick=rig.shoot)


def test_camera_info_of_twice_the_size_is_scaled(rig):
    rig.listen('points', 'depth/camera_info')
    rig.matched()

    def shoot():
        rig.info.publish(info_message(320, 256, focal=288.0))
        rig.shoot(info=False)

    rig.until(lambda: rig.received['points'] and rig.received['depth/camera_info'], tick=shoot)
    info = rig.received['depth/camera_info'][-1]
    assert (info.width, info.height, info.k[0]) == (160, 128, 144.0)
    rig.until(lambda: 'scaled' in (rig.value('thermal input', 'calibration') or ''), tick=shoot)


def test_a_bag_that_loops_goes_on_at_once(rig):
    rig.first('depth/image_raw')
    before = rig.node.statistics.resets
    rig.stamp = 50 * SECOND
    msg = rig.first('depth/image_raw')
    rig.until(lambda: stamp_ns(rig.received['depth/image_raw'][-1]) < 60 * SECOND,
              tick=rig.shoot)  # fmt: skip
    assert rig.node.statistics.resets > before
    assert msg.header.frame_id == FRAME
    later = [s for s in stamps(rig.received['depth/image_raw']) if s < 60 * SECOND]
    assert later == sorted(later)


def test_images_in_the_wrong_order_are_counted_and_nothing_is_forgotten(rig):
    rig.first('depth/image_raw')
    before = rig.node.statistics.resets
    late = rig.next_stamp()
    pixels = picture(rig.index)
    rig.shoot()
    newest = rig.shoot()
    rig.until(lambda: stamps(rig.received['depth/image_raw'])[-1] == newest)
    for missing in (late, late - SECOND // 5):
        known = _drops(rig).get(LATE_REASON, 0)
        rig.image.publish(image_message(pixels, missing))
        rig.until(lambda n=known: _drops(rig).get(LATE_REASON, 0) > n, what='counted')
    assert late not in stamps(rig.received['depth/image_raw'])
    assert rig.node.statistics.resets == before
    # more than a few in a row are another time
    rig.stamp, seen = newest - SECOND // 3, len(rig.received['depth/image_raw'])
    rig.until(
        lambda: any(s < newest for s in stamps(rig.received['depth/image_raw'][seen:])),
        tick=rig.shoot,
        what='depth of another time',
    )
    assert rig.node.statistics.resets == before + 1


def test_simulated_time_that_jumps_back_is_followed(make_rig):
    from rosgraph_msgs.msg import Clock

    rig = make_rig(use_sim_time=True)
    clock = rig.camera.create_publisher(Clock, '/clock', 10)
    rig.listen('depth/image_raw')
    rig.active().matched()
    rig.until(lambda: clock.get_subscription_count() > 0)

    def shoot():
        stamp = rig.shoot()
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(stamp, SECOND)
        clock.publish(message)

    rig.until(lambda: len(rig.received['depth/image_raw']) > 3, tick=shoot)
    now = rig.node.get_clock().now().nanoseconds
    assert 100 * SECOND < now < 200 * SECOND
    resets = rig.node.statistics.resets
    rig.stamp = 10 * SECOND
    rig.until(lambda: rig.node.get_clock().now().nanoseconds < 20 * SECOND, tick=shoot)
    rig.until(lambda: stamp_ns(rig.received['depth/image_raw'][-1]) < 20 * SECOND, tick=shoot)
    assert rig.node.statistics.resets > resets
    # latency is measured on the same clock: a frame took less than a second of simulated time
    rig.until(lambda: rig.value('depth', 'stamp to publish p50/p95/p99 [ms]'), tick=shoot)
    rig.spin(0.3, shoot)
    p50 = float(rig.value('depth', 'stamp to publish p50/p95/p99 [ms]').split()[0])
    assert abs(p50) < 1000


def test_a_camera_that_stops_and_comes_back(rig):
    rig.first('depth/image_raw')
    rig.until(lambda: 'the camera has stopped' in rig.message('thermal input'), what='silence')
    assert rig.level('thermal input') == 2
    rig.camera.destroy_publisher(rig.image)
    rig.until(lambda: 'nobody publishes' in rig.message('thermal input'), what='no publisher')
    rig.image = rig.camera.create_publisher(Image, 'thermal/image_raw', 5)
    rig.until(lambda: rig.image.get_subscription_count() > 0)
    rig.first('depth/image_raw')
    rig.until(lambda: rig.level('thermal input') == 0, tick=rig.shoot, what='recovery')


def test_a_frozen_picture_is_reported_and_gives_no_depth(rig):
    rig.first('depth/image_raw')
    frozen = image_message(picture(rig.index), 0)

    def freeze():
        set_stamp(frozen.header, rig.next_stamp())
        rig.image.publish(frozen)

    rig.until(lambda: _drops(rig).get('shutter: frozen', 0) >= 3, tick=freeze, what='frozen')
    rig.until(lambda: rig.value('thermal input', 'shutter') == 'frozen', tick=freeze)
    seen = len(rig.received['depth/image_raw'])
    rig.spin(0.2, freeze)
    assert len(rig.received['depth/image_raw']) == seen


def test_a_failing_engine_is_an_error_and_not_the_end(rig, monkeypatch):
    rig.first('depth/image_raw')
    works = rig.node.engine.infer

    def fail(_inputs):
        raise EngineError('out of memory on the device')

    monkeypatch.setattr(rig.node.engine, 'infer', fail)
    rig.until(lambda: 'out of memory' in rig.message('depth'), tick=rig.shoot, what='error')
    assert rig.level('depth') == 2 and _drops(rig)['engine failed'] >= 1

    def crash(_inputs):
        return {}['depth']

    monkeypatch.setattr(rig.node.engine, 'infer', crash)
    rig.until(lambda: _drops(rig).get('internal error', 0) > 0, tick=rig.shoot, what='crash')
    monkeypatch.setattr(rig.node.engine, 'infer', works)
    rig.first('depth/image_raw')
    rig.until(lambda: rig.level('depth') == 0, tick=rig.shoot, what='recovery')


def test_a_slow_engine_builds_no_queue(rig, monkeypatch):
    import threading

    rig.first('depth/image_raw')
    works, busy = rig.node.engine.infer, threading.Event()

    def slow(inputs):
        busy.set()
        time.sleep(0.25)
        return works(inputs)

    monkeypatch.setattr(rig.node.engine, 'infer', slow)
    rig.until(busy.is_set, tick=rig.shoot)
    rig.received['depth/image_raw'].clear()
    rig.until(lambda: len(rig.received['depth/image_raw']) >= 4, tick=rig.shoot)
    assert _drops(rig)['replaced by a newer image'] >= 10
    # the last depth is of an image of a moment ago, not of the start
    behind = (rig.stamp - stamp_ns(rig.received['depth/image_raw'][-1])) / (SECOND / 30)
    assert behind < 20
    rig.until(lambda: 'slower than the camera' in rig.message('depth'), tick=rig.shoot)


def test_best_effort_camera_and_reliable_node_are_told_apart(make_rig):
    from rclpy.qos import qos_profile_sensor_data

    rig = make_rig(thermal_reliability='reliable', silence_timeout=0.3)
    rig.camera.destroy_publisher(rig.image)
    rig.image = rig.camera.create_publisher(Image, 'thermal/image_raw', qos_profile_sensor_data)
    rig.until(
        lambda: 'does not match its publisher' in rig.message('thermal input'), tick=rig.shoot
    )
    assert 'thermal_reliability' in rig.message('thermal input')
    assert rig.level('thermal input') == 2


def test_two_hundred_random_messages_do_not_end_the_node(rig):
    rng = np.random.default_rng(7)
    encodings = ['mono16', 'mono8', '16UC1', '32FC1', 'rgb8', 'bayer_rggb8', 'yuv422', 'nv21', '?']
    rig.listen('points', 'depth/color')
    rig.matched()
    sent = 0

    def throw():
        nonlocal sent
        sent += 1
        height, width, step = (int(v) for v in rng.integers(0, (60, 60, 300)))
        msg = Image(height=height, width=width, step=step, encoding=str(rng.choice(encodings)))
        msg.is_bigendian = int(rng.integers(0, 2))
        size = int(rng.integers(0, 1 + step * height))
        msg.data = array.array('B', rng.integers(0, 256, size, np.uint8).tobytes())
        set_stamp(msg.header, int(rng.integers(0, 10)) * SECOND)
        rig.image.publish(msg)
        info = info_message(160, 128)
        info.k = rng.normal(0, 100, 9) * rng.choice([0, 1, np.nan])
        info.d = rng.normal(0, 1, int(rng.integers(0, 9))).tolist()
        info.width = int(rng.integers(0, 200))
        rig.info.publish(info)

    def unusable():
        return sum(n for reason, n in _drops(rig).items() if 'unusable' in reason)

    while sent < 200:
        throw()
        rig.executor.spin_once(timeout_sec=0.01)
    # how many of them a newer one replaces before the worker looks depends on the machine
    rig.until(lambda: unusable() > 20, tick=throw, what='more than 20 unusable images')
    rig.stamp = 100 * SECOND
    rig.first('points')
    assert rig.node.stage == 'active'
    drops = _drops(rig)
    assert drops.get('internal error', 0) == 0, drops
