# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tests of the verb report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from recorded_run import Drive, stamp_of, write_pair

from monother_ros.cli.main import main
from monother_ros.cli.report import table


def run(*words):
    return main(['report', '--moments', '1', *map(str, words)])


def test_table_and_the_page_as_the_last_line(tmp_path, capsys):
    drive = Drive(frames=12, outputs=('depth', 'confidence', 'diagnostics'), inputs=('thermal',))
    recorded, given = write_pair(tmp_path, drive)
    assert run(recorded, '--input', given, '-o', tmp_path / 'out', '--title', 'Twelve frames') == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert Path(last) == tmp_path / 'out' / 'index.html'
    assert '<h1>Twelve frames</h1>' in Path(last).read_text()
    text = '\n'.join(lines)
    assert 'frames   12 in, 9 out, 1 lost' in text
    assert 'AbsRel 0.100' in text
    assert 'AbsRel 0.200' in text


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--range', '5', '2'], 'the first must be'),
        (['--moments', '0'], 'show at least one'),
        (['--remap', 'thermal:=x'], 'not of the form /topic:=/name'),
        (['--remap', '/x:=/thermal/image_raw'], "has no topic '/x' for thermal"),
    ],
)
def test_wrong_arguments_are_said_without_a_traceback(tmp_path, capsys, words, message):
    recorded, given = write_pair(tmp_path, Drive(frames=3))
    assert run(recorded, '--input', given, '-o', tmp_path / 'out', *words) == 1
    error = capsys.readouterr().err
    assert error.startswith('monother report: ')
    assert message in error
    assert 'Traceback' not in error


def test_the_scale_of_several_runs_is_shown(tmp_path, capsys):
    drive = Drive(frames=8, outputs=('depth',), inputs=('thermal',))
    recorded, given = write_pair(tmp_path, drive)
    stamps = [stamp_of(k) for k in range(8)]
    runs = {
        name: {
            'conditions': {'day': {'frames': 8, 'scale error': error, 'abs_rel': 2 * error}},
            'series': [[stamp, 1 + error] for stamp in stamps],
        }
        for name, error in (('without LiDAR', 0.26), ('with LiDAR', 0.013))
    }
    found = tmp_path / 'lidar.json'
    found.write_text(json.dumps({'factor': 1.3, 'runs': runs}))
    words = (recorded, '--input', given, '-o', tmp_path / 'out', '--scale')
    assert run(*words, found) == 0
    page = Path(capsys.readouterr().out.splitlines()[-1]).read_text()
    for text in (
        'Metric scale',
        '\n30 % too far',
        '26.0 %',
        '1.3 %',
        '0.520',
        'without LiDAR and with',
    ):
        assert text in page, text
    section = json.loads((tmp_path / 'out' / 'report.json').read_text())['scale']
    series = section['runs']['with LiDAR']['series']
    assert series[0] == pytest.approx([0.0, 0.013]) and len(series) == 8
    assert (tmp_path / 'out' / 'pictures' / 'scale.png').stat().st_size > 1000
    found.write_text('{"runs": {"a": 1}}')
    assert run(*words, found) == 1
    assert 'demo --lidar' in capsys.readouterr().err


def test_missing_bag_and_unwritable_folder(tmp_path, capsys):
    assert run(tmp_path / 'none', '--input', tmp_path, '-o', tmp_path / 'out') == 1
    assert 'does not exist' in capsys.readouterr().err
    drive = Drive(frames=4, outputs=('depth',), inputs=('thermal',), conditions=False)
    recorded, given = write_pair(tmp_path, drive)
    (tmp_path / 'file').write_text('in the way')
    assert run(recorded, '--input', given, '-o', tmp_path / 'file') == 1
    assert 'cannot be written' in capsys.readouterr().err


def test_topics_of_another_name(tmp_path, capsys):
    drive = Drive(frames=4, prefix='/boson', outputs=('depth',), conditions=False, truth=False)
    recorded, given = write_pair(tmp_path, drive)
    words = ('/boson/thermal/image_raw:=/thermal/image_raw', '/x/info:=/other/name')
    assert run(recorded, '--input', given, '-o', tmp_path / 'out', '--remap', *words) == 0
    assert 'frames   4 in, 2 out' in capsys.readouterr().out


def test_table_without_latencies_or_truth():
    part = {'metrics': {}, 'finite': 0.9, 'in_range': 1.0, 'change': None, 'frames': 3}
    lines = table(
        {
            'frames': {'in': 3, 'out': 3, 'lost': 0, 'shutter': 0, 'before_first': 0},
            'rate': {'in_hz': None, 'out_hz': 9.5},
            'latency_ms': {'node': {}, 'recorder': {'kind': 'relative', 'p50': 1.0}},
            'drops': {},
            'conditions': [{'condition': 'whole drive', **part}],
            'overall': part,
            'notes': ['No ground truth in this bag: only plausibility is checked.'],
        }
    )
    assert lines[1] == 'rate     9.50 Hz of - Hz'
    assert 'finite 0.900' in lines[-2]
    assert lines[-1].startswith('note: No ground truth')
