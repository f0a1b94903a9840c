# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The adapt node as a process of its own: signals, being killed, start errors, niceness."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('torch')
from rclpy.parameter import Parameter

from monother_ros.learning.revisions import RevisionStore

ROOT = Path(__file__).resolve().parents[2]


class Process:
    """The adapt node as a child process whose output can be read while it runs."""

    def __init__(self, log, folder, values, *arguments):
        self._log = log
        # a rig hands plain values over; the command line has types of its own
        lines = ['/**:', '  ros__parameters:']
        lines += [f'    {name}: {_yaml(value)}' for name, value in values.items()]
        file = folder / 'parameters.yaml'
        file.write_text('\n'.join(lines) + '\n')
        command = [sys.executable, '-m', 'monother_ros.nodes.adapt_node', '--ros-args']
        command += ['--params-file', str(file), *arguments]
        with log.open('wb') as handle:
            self.child = subprocess.Popen(command, stdout=handle, stderr=subprocess.STDOUT)

    def text(self):
        return self._log.read_text()

    def kill(self):
        self.child.kill()
        self.child.wait()


def _yaml(value):
    if isinstance(value, str):
        return f"'{value}'"
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.fixture
def start(tmp_path):
    """Starts adapt nodes; those still running at the end are killed."""
    started = []

    def make(values, *arguments):
        log = tmp_path / f'{len(started)}.log'
        started.append(Process(log, tmp_path, values, *arguments))
        return started[-1]

    yield make
    for process in started:
        process.kill()


def test_learns_across_processes_survives_a_kill_and_ends_on_a_signal(
    make_adapt_rig, start, tmp_path
):
    memory = str(tmp_path / 'memory')
    rig = make_adapt_rig(with_node=False, memory=memory, save_seconds=0.1, nice=5)
    rig.listen('revision', 'mask')
    first = start(rig.values)
    rig.active(60.0)
    rig.until(lambda: rig.received['revision'], 30.0, rig.shoot, what='name of the base')
    rig.until(lambda: rig.number('steps') >= 8, 60.0, rig.shoot, what='steps')
    rig.until(lambda: rig.received['mask'], 20.0, rig.shoot, what='mask')
    assert rig.number('niceness', 'memory and CPU') >= 5
    assert os.getpriority(os.PRIO_PROCESS, first.child.pid) == os.getpriority(os.PRIO_PROCESS, 0)
    first.kill()
    good = RevisionStore(tmp_path / 'revisions').current()
    assert good is not None
    rig.health.clear()
    second = start(rig.values)
    # what was saved is there again before the first new pair
    rig.until(lambda: rig.number('steps') > 0, 60.0, what='resumed steps')
    assert rig.number('replay pairs') > 0
    assert rig.value('learning', 'revision') == good.revision
    begin = time.monotonic()
    second.child.send_signal(signal.SIGTERM)
    rig.until(lambda: second.child.poll() is not None, 20.0, rig.shoot, what='exit')
    assert second.child.returncode == 0, second.text()
    assert time.monotonic() - begin < 10.0
    for word in ('Traceback', 'terminate called'):
        assert word not in second.text(), second.text()
    # the writer's locks are gone with both processes
    with RevisionStore(tmp_path / 'revisions') as store:
        store.acquire()


def test_a_wrong_parameter_at_start_is_one_sentence_and_exit_code_1(make_adapt_rig, start):
    rig = make_adapt_rig(with_node=False)
    process = start({**rig.values, 'cpu_share': 0.0})
    assert process.child.wait(60) == 1
    assert 'cpu_share' in process.text() and 'Traceback' not in process.text()


def test_parameter_file_of_the_package_is_accepted(make_adapt_rig, start):
    file = str(ROOT / 'config' / 'adapt.yaml')
    rig = make_adapt_rig(with_node=False)
    process = start({'autostart': False}, '--params-file', file, '-p', 'autostart:=false')
    client = rig.listener.create_client(_get_parameters(), 'adapt_node/get_parameters')
    rig.until(client.service_is_ready, 60.0, what='parameter service')
    request = _get_parameters().Request(names=['teacher', 'rate'])
    future = client.call_async(request)
    rig.until(future.done, 20.0)
    teacher, rate = (Parameter.Type(v.type) for v in future.result().values)
    assert (teacher, rate) == (Parameter.Type.STRING, Parameter.Type.DOUBLE)
    assert process.child.poll() is None


def _get_parameters():
    from rcl_interfaces.srv import GetParameters

    return GetParameters
