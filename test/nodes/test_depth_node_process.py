# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The depth node as a process of its own: signals, large images, real frames, start errors."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy')
from depth_rig import SECOND, depth_of, image_message, stamps

from monother_ros.ros.transport import use_profile

ROOT = Path(__file__).resolve().parents[2]


class Process:
    """The depth node as a child process whose output can be read while it runs."""

    def __init__(self, log, model, *arguments):
        self._log = log
        command = [sys.executable, '-m', 'monother_ros.nodes.depth_node', '--ros-args']
        # tests of the process: the engine that starts fastest is enough
        exact = ['-p', 'device:=cpu', '-p', 'precision:=fp32']
        command += ['-p', f'model:={model}', *exact, *arguments]
        with log.open('wb') as handle:
            self.child = subprocess.Popen(command, stdout=handle, stderr=subprocess.STDOUT)

    def text(self):
        return self._log.read_text()

    def wait_for(self, words, timeout=20.0):
        end = time.monotonic() + timeout
        while words not in self.text():
            assert time.monotonic() < end and self.child.poll() is None, self.text()
            time.sleep(0.02)

    def kill(self):
        self.child.kill()
        self.child.wait()


@pytest.fixture
def start(ros_domain, tmp_path):
    """Starts depth nodes; those still running at the end are killed."""
    started = []

    def make(model, *arguments):
        started.append(Process(tmp_path / f'{len(started)}.log', model, *arguments))
        return started[-1]

    yield make
    for process in started:
        process.kill()


@pytest.mark.parametrize('name', ['SIGINT', 'SIGTERM'])
@pytest.mark.parametrize('state', ['active', 'busy'])
def test_signal_ends_the_process_cleanly(start, make_rig, tiny_bundle, name, state):
    if state == 'busy':
        # images keep coming while the node is taken down
        rig = make_rig(autostart=False)
        rig.listen('depth/image_raw', 'points', 'depth/color')
    process = start(tiny_bundle)
    process.wait_for(': active')
    if state == 'busy':
        rig.until(lambda: rig.received['points'], tick=rig.shoot, what='cloud')
    begin = time.monotonic()
    process.child.send_signal(getattr(signal, name))
    if state == 'busy':
        rig.until(lambda: process.child.poll() is not None, 5.0, rig.shoot, what='exit')
    assert process.child.wait(5) == 0
    assert time.monotonic() - begin < 2.0
    for word in ('Traceback', 'Error', 'ERROR', 'terminate called'):
        assert word not in process.text(), process.text()


def test_a_wrong_parameter_at_start_is_one_sentence_and_exit_code_1(start, tiny_bundle):
    process = start(tiny_bundle, '-p', 'confidence_min:=4.0')
    assert process.child.wait(20) == 1
    assert 'confidence_min' in process.text() and 'Traceback' not in process.text()


def test_parameter_file_of_the_package_is_accepted(start, tiny_bundle):
    file = str(ROOT / 'config' / 'depth.yaml')
    # of two values for a parameter, the later one counts
    process = start(
        *(tiny_bundle, '--params-file', file, '-p', f'model:={tiny_bundle}', '-r', '__ns:=/front')
    )
    process.wait_for(': active')
    assert 'front.depth_node' in process.text()


def test_large_best_effort_images_arrive_with_the_profile(tiny_bundle, tmp_path):
    # 640x512 mono16 is 655,360 bytes: above the 524,288 of Fast DDS's default shared memory
    output = tmp_path / 'latency.json'
    subprocess.run(
        [
            *(sys.executable, str(ROOT / 'bench' / 'latency.py'), '--model', str(tiny_bundle)),
            *('--seconds', '2', '--rate', '15', '--points', '--output', str(output)),
        ],
        check=True,
        timeout=60,
        capture_output=True,
    )
    result = json.loads(output.read_text())
    assert result['published'] == 30
    assert result['depth received'] >= 27, result
    assert result['points received'] >= 25, result
    assert result['transport'].endswith('fastdds.xml')


CAMERA = """
import sys, time, rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
rclpy.init()
node = rclpy.create_node('camera', namespace='front')
camera = node.create_publisher(Image, 'thermal/image_raw', qos_profile_sensor_data)
image = Image(height=512, width=640, encoding='mono16', step=1280, data=bytes(2 * 512 * 640))
while True:
    image.header.stamp = node.get_clock().now().to_msg()
    camera.publish(image)
    time.sleep(1 / 30)
"""
"""A camera in a process of its own: Fast DDS reads its profile once per process."""


def test_images_lost_by_the_default_transport_are_told_with_the_advice(
    start, make_rig, tiny_bundle, monkeypatch
):
    for name in ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'):
        monkeypatch.delenv(name, raising=False)
    rig = make_rig(autostart=False)
    rig.watched = 'front/other'
    process = start(
        *(tiny_bundle, '-r', '__ns:=/front', '-r', '__node:=other', '-p', 'silence_timeout:=0.3')
    )
    process.wait_for(': active')
    camera = subprocess.Popen([sys.executable, '-c', CAMERA])
    try:
        rig.until(
            lambda: 'FASTDDS_DEFAULT_PROFILES_FILE' in rig.message('thermal input'),
            timeout=20.0,
            what='advice',
        )
    finally:
        camera.kill()
        camera.wait()
    assert rig.level('thermal input') > 0
    assert 'thermal_reliability' in rig.message('thermal input')
    assert int(rig.value('thermal input', 'lost by the middleware')) > 0


def _real_images(shared, name):
    if name.endswith('sequence'):
        files = sorted(shared(name).glob('*.png'))
    else:
        files = [shared(name) / 'left_thr.png', shared(name) / 'right_thr.png']
    return [cv2.imread(str(file), cv2.IMREAD_UNCHANGED) for file in files]


def _model():
    from monother_ros.core.bundle import find_bundle
    from monother_ros.core.errors import BundleError

    try:
        return find_bundle('lite')
    except BundleError:
        return None


@pytest.mark.parametrize('name', ['thermal_sequence', 'thermal_rgb_pair'])
def test_real_frames_at_30_hz_give_finite_stable_depth(make_rig, shared, tiny_bundle, name):
    images = _real_images(shared, f'data/{name}')
    height, width = images[0].shape
    assert images[0].dtype == np.uint16
    rig = make_rig(model=_model() or tiny_bundle)
    rig.listen('depth/image_raw', 'confidence')
    rig.active().matched()
    sent = []

    def shoot():
        # forth and back, so that the scene moves on as it did
        turn = len(sent) % (2 * len(images) - 2)
        index = turn if turn < len(images) else 2 * len(images) - 2 - turn
        sent.append(rig.next_stamp())
        rig.image.publish(image_message(images[index], sent[-1]))

    rig.until(lambda: len(sent) >= 24, 20.0, shoot)
    rig.until(lambda: len(rig.received['depth/image_raw']) >= 6, 20.0, shoot, what='depth')
    messages = rig.received['depth/image_raw']
    assert set(stamps(messages)) <= set(sent)
    depths = np.stack([depth_of(msg) for msg in messages])
    assert depths.shape[1:] == (height, width)
    known = np.isfinite(depths)
    assert known.mean() > 0.5
    assert depths[known].min() >= 0.5 and depths[known].max() <= 80.0
    medians = np.array([np.nanmedian(depth) for depth in depths])
    if name == 'thermal_sequence':
        steps = [b - a for a, b in zip(stamps(messages), stamps(messages)[1:], strict=False)]
        near = np.array(steps) <= 2 * SECOND // 30 + 2
        change = np.abs(np.diff(medians)) / medians[1:]
        assert np.median(change[near]) < 0.1 if near.any() else True
    for msg in rig.received['confidence']:
        assert depth_of(msg).min() >= 0 and depth_of(msg).max() <= 1


def test_profile_of_the_package_is_no_obstacle_in_one_process(ros_domain, monkeypatch):
    monkeypatch.delenv('FASTDDS_DEFAULT_PROFILES_FILE', raising=False)
    environment = dict(os.environ)
    use_profile(environment)
    code = (
        'import rclpy; rclpy.init(); n = rclpy.create_node("x"); '
        'n.destroy_node(); rclpy.shutdown()'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], env=environment, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0 and 'rror' not in done.stderr, done.stderr


def test_depth_node_imports_no_torch():
    code = (
        'import sys, monother_ros.nodes.depth_node; '
        'assert not any(m.split(".")[0] == "torch" for m in sys.modules)'
    )
    assert subprocess.run([sys.executable, '-c', code], timeout=60).returncode == 0


def test_bench_scene_does_not_look_like_a_shutter():
    from monother_ros.core.shutter import ShutterDetector, ShutterState

    spec = importlib.util.spec_from_file_location('latency', ROOT / 'bench' / 'latency.py')
    latency = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(latency)
    frames = latency.scene(320, 256)
    detector = ShutterDetector()
    for i in range(3 * len(frames)):
        state = detector.update(frames[i % len(frames)], i * SECOND // 30)
        assert state == ShutterState.OPEN
