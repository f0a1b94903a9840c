# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a checkpoint in the authors' layout to a depth topic, by the real command and node."""

from __future__ import annotations

import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('torch', reason='torch is not installed')
pytest.importorskip('onnx', reason='onnx is not installed')

from checkpoints import make_checkpoint
from depth_rig import depth_of, image_message, stamps

from monother_ros.core.bundle import load_bundle
from monother_ros.core.pipeline import Pipeline, ThermalFrame
from monother_ros.engines.base import EngineOptions
from monother_ros.engines.select import load_engine


@pytest.fixture(scope='module')
def frame(shared):
    """A real thermal frame."""
    return shared('data/thermal_rgb_pair/left_thr.png')


@pytest.fixture(scope='module')
def bundle(frame, tmp_path_factory):
    """The small official encoder, random weights, converted by the command."""
    from monother_ros.networks.monother import MonoTherConfig

    folder = tmp_path_factory.mktemp('converted')
    checkpoint = make_checkpoint(folder / 'authors.pt', MonoTherConfig.preset('vits'))
    command = [sys.executable, '-m', 'monother_ros.cli.main', 'convert', str(checkpoint)]
    command += ['--to', str(folder / 'vits'), '--size', '112x168', '--frame', str(frame)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'thermal branch complete, vits, 25.03 M parameters' in done.stdout
    checkpoint.unlink()
    return load_bundle(folder / 'vits')


def test_checkpoint_to_depth_topic(bundle, frame, make_rig, tmp_path):
    picture = cv2.imread(str(frame), cv2.IMREAD_UNCHANGED)
    # of what the rig owns, only camera and listener take part: the node is its own process
    rig = make_rig(autostart=False)
    rig.listen('depth/image_raw', 'confidence')
    log = tmp_path / 'node.log'
    command = [sys.executable, '-m', 'monother_ros.nodes.depth_node', '--ros-args']
    command += ['-p', f'model:={bundle.path}', '-p', 'process_shutter_frames:=true']
    command += ['-p', 'thermal_reliability:=reliable', '-p', 'threads:=1']
    command += ['-p', 'device:=cpu', '-p', 'precision:=fp32']
    with log.open('wb') as handle:
        node = subprocess.Popen(command, stdout=handle, stderr=subprocess.STDOUT)
    try:
        rig.until(
            lambda: node.poll() is None and ': active' in log.read_text(), 60.0, what='active'
        )
        sent = []

        def shoot():
            sent.append(rig.next_stamp())
            rig.image.publish(image_message(picture, sent[-1]))

        rig.until(
            lambda: rig.received['depth/image_raw'] and rig.received['confidence'],
            60.0,
            shoot,
            what='depth',
        )
    finally:
        node.send_signal(signal.SIGINT)
        assert node.wait(20) == 0, log.read_text()
    depth, confidence = (rig.received[t][0] for t in ('depth/image_raw', 'confidence'))
    assert set(stamps([depth, confidence])) <= set(sent)
    assert depth.header.frame_id == 'thermal_optical_frame'
    with load_engine(bundle, options=EngineOptions(threads=1)) as engine:
        expected = Pipeline(engine).process(ThermalFrame(picture, 0))
    assert np.isfinite(expected.depth).mean() > 0.5
    np.testing.assert_array_equal(depth_of(depth), expected.depth)
    np.testing.assert_array_equal(depth_of(confidence), expected.confidence)
    assert bundle.name in log.read_text() and 'Traceback' not in log.read_text()
