# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A writer that is killed at any instant leaves a store in which every revision is whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from revision_data import ONE_THREAD, hidden, tiny

from monother_ros.engines.check import check_engine, read_check
from monother_ros.engines.onnxruntime import OnnxRuntimeEngine
from monother_ros.learning.revision_files import number_of
from monother_ros.learning.revisions import RevisionReader, RevisionStore

pytest.importorskip('onnx')

KILLS = 20
HERE = Path(__file__).parent


@pytest.fixture
def writer(tmp_path):
    model = tiny(tmp_path / 'model')
    command = [sys.executable, HERE / 'revision_writer.py', tmp_path / 'store', model.path]
    paths = [str(HERE.parents[1]), str(HERE.parent), os.environ.get('PYTHONPATH', '')]
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(paths)}
    pipes = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE, 'text': True}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        yield process
        process.stdin.close()


def check(folder):
    """Every revision that can be seen is whole, and the one in use runs as it did."""
    reader = RevisionReader(folder)
    infos = reader.revisions(verify=True)
    assert [item.defect for item in infos] == [''] * len(infos)
    found = reader.good()
    assert found.bundle is not None
    assert found.reason == ''
    frames = read_check(found.bundle)
    assert frames
    with OnnxRuntimeEngine(found.bundle, ONE_THREAD) as engine:
        check_engine(engine, frames)
    return infos


def wait_for_writes(folder, count):
    """Wait until the writer has begun some more revisions; the number of the last one."""
    path, begun, last = folder / 'counter.json', 0, None
    until = time.monotonic() + 60
    first = json.loads(path.read_text())['last'] if path.exists() else 0
    while begun < count:
        assert time.monotonic() < until, 'the writer does not write'
        time.sleep(0.002)
        last = json.loads(path.read_text())['last'] if path.exists() else first
        begun = last - first
    return last


def test_killed_at_any_instant(writer, tmp_path):
    folder = tmp_path / 'store'
    rng = np.random.default_rng(7)
    newest, leftovers, reads = 0, 0, 0
    for kill in range(KILLS):
        writer.stdin.write(f'{kill}\n')
        writer.stdin.flush()
        child = int(writer.stdout.readline())
        reader = RevisionReader(folder)
        begun = wait_for_writes(folder, 2)
        until = time.monotonic() + rng.uniform(0.0, 0.2)
        while time.monotonic() < until or reads <= kill:
            # a reader beside the writer never sees a half revision
            found = reader.good()
            assert found.bundle is not None
            assert found.reason == ''
            reads += 1
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        assert writer.stdout.readline() == 'ended\n'
        leftovers += bool(hidden(folder))
        infos = check(folder)
        numbers = [number_of(item.name) for item in infos]
        assert max(numbers) >= max(newest, begun - 1), 'a revision was lost, or its number used'
        newest = max(numbers)
        assert len([n for n in numbers if n]) <= 3 + 3
    assert leftovers > 0, 'no kill met a writer at work: the test shows nothing'
    assert newest >= KILLS
    with RevisionStore(folder) as store:
        store.acquire()
        assert hidden(folder) == []
    check(folder)
