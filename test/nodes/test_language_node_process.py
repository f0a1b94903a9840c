# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The language node as a process of its own: sentences, being killed, signals, start errors."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')
pytest.importorskip('torch', reason='torch is not installed')
pytest.importorskip('transformers', reason='transformers is not installed')

from depth_rig import Rig, image_message, info_message, picture
from geometry_msgs.msg import Vector3Stamped
from language_rig import RELIABLE, LanguageRig
from tiny_clip import make_clip, make_head


@pytest.fixture(name='start')
def _start(tmp_path):
    """Starts language nodes; those still running at the end are killed."""
    started = []

    def make(**values):
        log = tmp_path / f'{len(started)}.log'
        words = [sys.executable, '-m', 'monother_ros.nodes.language_node', '--ros-args']
        for name, value in values.items():
            words += ['-p', f'{name}:={value}']
        with log.open('wb') as handle:
            child = subprocess.Popen(words, stdout=handle, stderr=subprocess.STDOUT)
        started.append(child)
        return child, log

    yield make
    for child in started:
        child.kill()
        child.wait()


def test_depth_goes_on_when_the_language_node_is_killed(ros_domain, tiny_bundle, start, tmp_path):
    clip = make_clip(tmp_path / 'clip')
    make_head(tmp_path / 'head', encoder=clip)
    depth = Rig(tiny_bundle, scale_force='language', scale_rate=100.0)
    rig = LanguageRig(depth.context, depth.executor, with_node=False)
    told = []
    rig.operator.create_subscription(Vector3Stamped, 'scale', told.append, RELIABLE)
    state = {'index': 0}

    def shoot():
        state['index'] += 1
        stamp = time.time_ns()
        depth.info.publish(info_message(160, 128, stamp=stamp))
        depth.image.publish(image_message(picture(state['index']), stamp))

    try:
        first, _ = start(head=tmp_path / 'head')
        found = rig.tell('a street with two cars')
        wanted = pytest.approx(1 / found.scale, rel=0.02)
        rig.until(lambda: told and told[-1].vector.x == wanted, 60.0, shoot, 'scale')
        first.kill()
        first.wait()
        count = len(told)
        rig.until(lambda: len(told) > count + 5, 60.0, shoot, 'depth after the kill')
        assert told[-1].vector.x == wanted, 'the last word counts for a while'
        # another one takes over and ends on a signal
        second, log = start(head=tmp_path / 'head')
        other = rig.tell('a corridor', patience=2.0)
        rig.until(
            lambda: told[-1].vector.x == pytest.approx(1 / other.scale, rel=0.02),
            60.0,
            shoot,
            'scale of the second',
        )
        second.send_signal(signal.SIGTERM)
        assert second.wait(60) == 0, log.read_text()
        assert 'Traceback' not in log.read_text()
    finally:
        rig.close()
        depth.close()


def test_a_wrong_parameter_at_start_is_one_sentence_and_exit_code_1(ros_domain, start):
    child, log = start(threads=-1)
    assert child.wait(180) == 1
    assert 'threads' in log.read_text() and 'Traceback' not in log.read_text()
