# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""More than 10,000 malformed inputs: each is refused in words or counted, and does no harm."""

from __future__ import annotations

import importlib
import json
import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz_harness import Entry, run_entry

from monother_ros.core.errors import BagError

ROOT = Path(__file__).resolve().parents[2]
GROUPS = ('fuzz_messages', 'fuzz_files', 'fuzz_bags', 'fuzz_evaluation', 'fuzz_learning')
NEEDS = ('onnx', 'onnxruntime', 'rosbags', 'torch', 'safetensors', 'yaml')


@pytest.fixture(scope='module')
def report(tmp_path_factory):
    """Figures of one run of bench/fuzz.py, all entry points."""
    out = tmp_path_factory.mktemp('fuzz') / 'fuzz.json'
    command = [sys.executable, str(ROOT / 'bench' / 'fuzz.py'), '--out', str(out)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert out.exists(), run.stdout + run.stderr
    print(run.stdout)
    return json.loads(out.read_text())


def _names():
    pytest.importorskip('onnx')
    return [e.name for group in GROUPS for e in importlib.import_module(group).ENTRIES]


NAMES = (
    *('image on the thermal topic', 'image on the RGB topic', 'compressed image', 'point cloud'),
    *('camera_info', 'laser scan', 'single range', 'scale estimate', 'static transforms'),
    *('camera_info file', 'rig file', 'bundle manifest', 'bundle files', 'network'),
    *('tensor file', 'thermal picture file', 'parameters', 'store of revisions'),
    *('MCAP file', 'SQLite bag', 'ROS 1 bag', 'recorded message'),
    *('scored pair', 'evaluation results', 'evaluation journal', 'ground truth file'),
    *('checkpoint', 'confidence network', 'recipe', 'object array', 'language head'),
    *('training state', 'state of learning', 'anchors', 'memory of pairs'),
)


@pytest.mark.parametrize('name', NAMES)
def test_every_malformed_input_is_refused_in_words_or_harmless(report, name):
    left_out = {item['entry']: item['missing'] for item in report['left out']}
    if name in left_out:
        pytest.skip(f'{", ".join(left_out[name])} not installed')
    found = next((item for item in report['entries'] if item['entry'] == name), None)
    assert found is not None, report['problems']
    assert found['failed'] == 0, found['failures']
    assert found['vague'] == []
    assert found['growth of handles'] <= 0
    # most of what is made is really malformed
    assert found['refused'] > 0.4 * found['inputs'], found


def test_nothing_crashes_hangs_or_grows(report):
    assert report['problems'] == []


def test_more_than_ten_thousand_were_refused_or_counted(report):
    if report['left out']:
        pytest.skip('some entry points need what is not installed')
    assert report['refused or counted'] >= 10_000
    assert sorted(item['entry'] for item in report['entries']) == sorted(NAMES) == sorted(_names())


def test_the_harness_finds_wrong_exceptions_hangs_leaks_and_vague_errors(tmp_path):
    kept, handles = [], []

    def attempt(rng):
        kind = rng.integers(5)
        if kind == 0:
            raise KeyError('what a damaged file leads to')
        if kind == 1:
            raise BagError('bad')
        if kind == 2:
            kept.append(mmap.mmap(-1, 1_000_000))  # no freed memory can serve this
            kept[-1].write(b'x' * 1_000_000)
        elif kind == 3:
            handles.append(os.open(os.devnull, os.O_RDONLY))
        else:
            raise BagError('the bag is damaged; copy it again')

    result = run_entry(Entry('made wrong', lambda _: attempt, 100), tmp_path, 100)
    for handle in handles:
        os.close(handle)
    assert result['failures by place'] == {'KeyError outside': result['failed']}
    assert result['failed'] > 5 and len(result['vague']) > 3
    assert result['growth of handles'] > 5 and result['growth of memory [MB]'] > 0.5
    assert result['failed'] + result['refused'] + result['taken'] == 100

    def endless(_rng):
        while True:
            pass

    slow = run_entry(Entry('endless', lambda _: endless, 1, limit=0.1), tmp_path, 1)
    assert slow['failures'][0]['kind'].startswith('Hang')
