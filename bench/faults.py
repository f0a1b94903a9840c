# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Fault run: good images of a misbehaving camera give the right depth, bad ones are counted.

A scripted camera (monother_ros/sim/camera_faults.py) drops images, sends them twice or in the
wrong order, freezes, jumps in time, changes size and encoding and sends messages that contradict
themselves, over real DDS, into the real depth node in a process of its own.

First the script is followed image by image: the next one is sent when the node has answered the
one before. The depth of each good image must be that of the same pipeline run offline on the same
messages, and each bad image must be counted by the reason that the script gives. Then the script
is sent again at its own rate without waiting, and the node must account for every image.

    python bench/faults.py --rounds 10 --out faults.json

The exit code is 1 where anything is wrong.
"""

from __future__ import annotations

import argparse
import array
import contextlib
import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from monother_ros.cli.children import Child
from monother_ros.core.bundle import find_bundle, load_bundle
from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import MonotherError
from monother_ros.core.files import atomic_write
from monother_ros.core.pipeline import Pipeline, ThermalFrame
from monother_ros.engines.base import EngineOptions
from monother_ros.engines.onnxruntime import OnnxRuntimeEngine
from monother_ros.nodes.calibration import Calibration
from monother_ros.nodes.worker import GAP
from monother_ros.ros.messages import set_stamp, stamp_ns, thermal_array
from monother_ros.sim.camera_faults import DEPTH, LATE, FaultyCamera, panning

FRAME = 'thermal_optical_frame'
PATIENCE = 5.0
"""Seconds to wait for the node's answer to an image."""

TOLERANCE = 1e-5
"""Largest relative difference between the node's depth and the pipeline's."""

STEADY = 0.05
"""Largest median difference of an image's depth where other images before it were replaced: the
normalisation follows the images that it has seen."""


def parse(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--rounds', type=int, default=10, help='how often each fault comes')
    parser.add_argument('--seed', type=int, default=0, help='of the script')
    parser.add_argument('--rate', type=float, default=20.0, help='images per second')
    parser.add_argument('--size', default='320x256', help='width x height of the images')
    parser.add_argument('--model', default='lite', help='model bundle: name or folder')
    parser.add_argument('--domain', type=int, help='ROS_DOMAIN_ID to use')
    parser.add_argument('--no-free', action='store_true', help='leave the second part out')
    parser.add_argument('--out', type=Path, help='JSON file')
    return parser.parse_args(arguments)


class Offline:
    """The same pipeline without ROS, which forgets when time jumps, as the node does."""

    def __init__(self, model, info):
        engine = OnnxRuntimeEngine(
            load_bundle(find_bundle(model)), EngineOptions(threads=1, precision='fp32')
        )
        self._pipeline = Pipeline(engine)
        self._calibration = Calibration('camera_info')
        self._calibration.update(info)

    def silence(self):
        """Forget what a silence of the camera makes the node forget."""
        self._pipeline.reset(keep_scale=True)

    def depth(self, shot):
        """(H, W) metres of a shot, or the reason for which there is none."""
        if shot.outcome == LATE:
            return LATE
        if shot.restarts:
            self._pipeline.reset()
        try:
            image = thermal_array(SimpleNamespace(**shot.fields), self._calibration.height)
        except MonotherError as err:
            return str(err)
        camera = self._calibration.fit(image.shape[1], image.shape[0])
        frame = ThermalFrame(image, shot.stamp_ns, FRAME, camera)
        result = self._pipeline.process(frame)
        return result.skipped if result.depth is None else result.depth


class Camera:
    """Publishes shots and CameraInfo, and keeps what the node says."""

    def __init__(self, size):
        import rclpy
        from diagnostic_msgs.msg import DiagnosticArray
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.qos import QoSProfile, ReliabilityPolicy
        from sensor_msgs.msg import CameraInfo, Image

        from monother_ros.ros.buffers import camera_info_from_intrinsics

        rclpy.init()
        self._rclpy, self._image_type = rclpy, Image
        self.node = rclpy.create_node('faulty_camera')
        reliable = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
        self._image = self.node.create_publisher(Image, 'thermal/image_raw', reliable)
        self._info = self.node.create_publisher(CameraInfo, 'thermal/camera_info', reliable)
        width, height = size
        camera = Intrinsics(width, height, 0.8 * width, 0.8 * width, width / 2, height / 2)
        self.calibration = camera_info_from_intrinsics(camera)
        self.depth: dict[int, list[np.ndarray]] = {}
        self.arrived = 0
        self.counters: dict[str, str] = {}
        self.looked = 0.0
        self._changed = threading.Condition()
        self.node.create_subscription(Image, 'depth/image_raw', self._on_depth, reliable)
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._on_status, 10)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        threading.Thread(target=self._spin, daemon=True).start()

    def _spin(self):
        with contextlib.suppress(Exception):
            self._executor.spin()

    def _on_depth(self, message):
        metres = np.frombuffer(message.data, np.float32).reshape(message.height, message.width)
        with self._changed:
            self.depth.setdefault(stamp_ns(message), []).append(metres)
            self.arrived += 1
            self._changed.notify_all()

    def _on_status(self, message):
        with self._changed:
            for status in message.status:
                part = status.name.rpartition(': ')[2]
                self.counters.update({f'{part}/{v.key}': v.value for v in status.values})
            self.looked = time.monotonic()
            self._changed.notify_all()

    def drops(self):
        """Images that gave no depth, by reason."""
        start = 'depth/dropped: '
        return Counter(
            {
                k.removeprefix(start): int(v)
                for k, v in self.counters.items()
                if k.startswith(start)
            }
        )

    def count(self, key):
        """A counter of the node."""
        return int(self.counters.get(key, 0))

    def publish(self, shot):
        """Send one shot."""
        message = self._image_type()
        for name, value in shot.fields.items():
            setattr(message, name, array.array('B', value) if name == 'data' else value)
        message.header.frame_id = FRAME
        set_stamp(message.header, shot.stamp_ns)
        self._image.publish(message)

    def publish_info(self):
        """Send the calibration."""
        self.calibration.header.frame_id = FRAME
        self._info.publish(self.calibration)

    def until(self, condition, patience=PATIENCE):
        """Wait until something holds, looking at each message that comes; whether it does."""
        with self._changed:
            return self._changed.wait_for(condition, patience)

    def settled(self):
        """Wait for diagnostics that were made from now on."""
        asked = time.monotonic()
        time.sleep(0.3)
        self.until(lambda: self.looked > asked + 0.2, 3.0)

    def close(self):
        """Leave the graph."""
        self._executor.shutdown()
        self._rclpy.try_shutdown()


def compare(mine, theirs):
    """Largest relative difference of two depths; infinity where other pixels are unknown."""
    if mine.shape != theirs.shape or (np.isnan(mine) != np.isnan(theirs)).any():
        return float('inf')
    known = np.isfinite(mine)
    return float((np.abs(mine - theirs)[known] / mine[known]).max()) if known.any() else 0.0


def follow(camera, shots, offline):
    """Send shots one after the other; figures, and what was wrong in words."""
    wrong: list[str] = []
    by_fault: dict[str, Counter] = {}
    drops, largest = camera.drops(), 0.0
    wanted_drops: Counter = Counter()
    restarts = camera.count('depth/time jumps and restarts')
    silences, last = 0, time.monotonic()
    for number, shot in enumerate(shots):
        if time.monotonic() - last > GAP and not shot.restarts:
            # the machine stood still for so long that the node took it for a silence
            offline.silence()
            silences += 1
        last = time.monotonic()
        where = f'{number} ({shot.fault or "ordinary"}, {shot.outcome})'
        known = len(camera.depth.get(shot.stamp_ns, []))
        camera.publish(shot)
        wanted = offline.depth(shot)
        tally = by_fault.setdefault(shot.fault or 'ordinary', Counter())
        tally['images'] += 1
        if shot.outcome == DEPTH:
            if isinstance(wanted, str):
                wrong.append(f'{where}: the pipeline gives no depth offline: {wanted}')
                continue
            if not camera.until(lambda s=shot, n=known: len(camera.depth.get(s.stamp_ns, [])) > n):
                wrong.append(f'{where}: no depth; the node says {dict(camera.drops() - drops)}')
                continue
            difference = compare(wanted, camera.depth[shot.stamp_ns][-1])
            largest = max(largest, difference)
            tally['depth'] += 1
            if difference > TOLERANCE:
                wrong.append(f'{where}: depth differs by {difference:.2e}')
            else:
                tally['right'] += 1
            continue
        wanted_drops[shot.outcome] += 1
        target = drops[shot.outcome] + wanted_drops[shot.outcome]
        if camera.until(lambda o=shot.outcome, n=target: camera.drops()[o] >= n):
            tally['counted'] += 1
        else:
            wrong.append(f'{where}: not counted; the node says {dict(camera.drops() - drops)}')
    camera.settled()
    counted = camera.drops() - drops
    if counted != wanted_drops:
        wrong.append(f'counted {dict(counted)}, the script says {dict(wanted_drops)}')
    forgot = camera.count('depth/time jumps and restarts') - restarts
    scripted = sum(shot.restarts for shot in shots) + silences
    if forgot != scripted:
        wrong.append(f'the node started afresh {forgot} times, the script says {scripted}')
    return {
        'images': len(shots),
        'good': sum(shot.outcome == DEPTH for shot in shots),
        'right': sum(tally['right'] for tally in by_fault.values()),
        'bad': sum(wanted_drops.values()),
        'counted by reason': dict(counted),
        'largest difference': largest,
        'restarts': forgot,
        'by fault': {name: dict(tally) for name, tally in sorted(by_fault.items())},
        'problems': wrong,
    }


def rush(camera, shots, rate):
    """Send shots at their rate; the node must account for each one."""
    before = camera.drops()
    received = camera.count('thermal input/received')
    arrived = camera.arrived
    # stamps that come once; after jumps of time some come twice
    stamps = Counter(shot.stamp_ns for shot in shots)
    first = {
        shot.stamp_ns: camera.depth[shot.stamp_ns][-1]
        for shot in shots
        if stamps[shot.stamp_ns] == 1 and shot.stamp_ns in camera.depth
    }
    known = {stamp: len(camera.depth[stamp]) for stamp in first}
    begin = time.monotonic()
    for i, shot in enumerate(shots):
        time.sleep(max(0.0, begin + i / rate - time.monotonic()))
        camera.publish(shot)
    camera.settled()
    camera.settled()
    counted = camera.drops() - before
    received = camera.count('thermal input/received') - received
    depths = camera.arrived - arrived
    good = sum(shot.outcome == DEPTH for shot in shots)
    wrong = []
    if received != len(shots):
        wrong.append(f'{received} of {len(shots)} images reached the node')
    differences = [
        float(np.nanmedian(np.abs(camera.depth[stamp][-1] / depth - 1)))
        for stamp, depth in first.items()
        if len(camera.depth[stamp]) > known[stamp]
    ]
    if any(difference > STEADY for difference in differences):
        wrong.append(f'depth differs by up to {max(differences):.3f} where others were replaced')
    if depths + sum(counted.values()) != received:
        wrong.append(f'{depths} depths and {dict(counted)} do not make up {received} images')
    return {
        'images': len(shots),
        'good': good,
        'depths': depths,
        'counted by reason': dict(counted),
        'depths compared': len(differences),
        'largest median difference': max(differences, default=0.0),
        'problems': wrong,
    }


def measure(options, folder):
    """Run the node and both parts."""
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    os.environ['ROS_DOMAIN_ID'] = str(options.domain or os.getpid() % 90 + 2)
    size = tuple(int(v) for v in options.size.split('x'))
    values = {
        'model': options.model,
        'engine': 'onnxruntime',
        'device': 'cpu',
        'precision': 'fp32',
        'threads': 1,
        'thermal_reliability': 'reliable',
        'depth_reliability': 'reliable',
        'diagnostics_period': 0.1,
    }
    words = ['monother_ros.nodes.depth_node', '--ros-args']
    words += [w for k, v in values.items() for w in ('-p', f'{k}:={v}')]
    script = FaultyCamera(panning(*size), options.seed, options.rate)
    with Child('depth_node', words, folder) as child:
        camera = Camera(size)
        try:
            start = time.monotonic()
            while camera.counters.get('thermal input/calibration') != 'known':
                child.check()
                if time.monotonic() - start > 60:
                    raise SystemExit(f'error: no depth; the node says {camera.counters}')
                camera.publish_info()
                camera.publish(next(script.script()))
                camera.until(lambda: False, 0.2)
            camera.settled()
            offline = Offline(options.model, camera.calibration)
            # the node has seen images already: a jump back makes both begin with nothing
            script = FaultyCamera(panning(*size), options.seed, options.rate, 10**18)
            shots = list(script.script(options.rounds))
            shots[0] = replace(shots[0], restarts=True)
            report = {
                'model': options.model,
                'images': f'{options.size} at {options.rate:g} Hz',
                'faults': list(script.faults),
                'image by image': follow(camera, shots, offline),
            }
            if not options.no_free:
                report['at its own rate'] = rush(camera, shots, options.rate)
        finally:
            camera.close()
        child.stop()
        if 'Traceback' in child.output():
            report['image by image']['problems'].append(child.output()[-2000:])
    return report


def main():
    """Measure, show and write; 1 where something is wrong."""
    options = parse()
    with tempfile.TemporaryDirectory() as folder:
        report = measure(options, Path(folder))
    print(json.dumps(report, indent=2))
    if options.out:
        atomic_write(options.out, json.dumps(report, indent=2) + '\n')
    wrong = [
        text for part in report.values() if isinstance(part, dict) for text in part['problems']
    ]
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
