# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""monother play and record as separate processes over real DDS."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
from small_bag import write_small_bag

from monother_ros.cli.main import main
from monother_ros.ros.bags import BagReader

MONOTHER = [sys.executable, '-m', 'monother_ros.cli.main']


@pytest.fixture
def start(ros_domain):
    """Start a verb; whatever still runs at the end of the test is killed."""
    running = []

    def begin(*words):
        process = subprocess.Popen(
            [*MONOTHER, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()


def said(process, text, lines=20):
    """Read the output until a text appears."""
    for _ in range(lines):
        line = process.stdout.readline()
        if text in line:
            return line
    raise AssertionError(f'{text!r} was not said')


def end(process, number):
    process.send_signal(number)
    rest = process.stdout.read()
    return process.wait(10), rest


def test_played_bag_is_recorded_again_with_the_same_bytes(start, tmp_path):
    source = write_small_bag(tmp_path / 'source', frames=20)
    recorder = start('record', '-o', tmp_path / 'copy', '--topics', '/cam', '/note')
    said(recorder, 'recording into')
    player = start('play', source, '--wait-for-subscribers', '/cam', '/note')
    output = player.communicate(timeout=20)[0]
    assert player.returncode == 0, output
    assert output.count('/odd (nobody_has_msgs/msg/Strange)') == 1
    assert 'published 21 messages on 2 topics' in output
    time.sleep(0.3)
    code, output = end(recorder, signal.SIGINT)
    assert code == 0, output
    assert 'recorded 21 messages' in output
    with BagReader(source) as old, BagReader(tmp_path / 'copy') as new:
        assert {(t.name, t.type, t.count, t.latched) for t in new.topics} == {
            (t.name, t.type, t.count, t.latched) for t in old.topics if t.name != '/odd'
        }
        for topic in ('/cam', '/note'):
            pairs = zip(old.messages([topic]), new.messages([topic]), strict=True)
            for before, after in pairs:
                # the middleware fills up to a multiple of four bytes
                assert after.data[: len(before.data)] == before.data
                assert after.data[len(before.data) :] in (b'', b'\0', b'\0\0', b'\0\0\0')
        times = [m.stamp_ns for m in new.messages(['/cam'])]
    assert abs(times[0] - time.time_ns()) < 60e9
    assert times == sorted(times)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signals_end_both_cleanly(start, tmp_path, number):
    source = write_small_bag(tmp_path / 'source', frames=20)
    recorder = start('record', '-o', tmp_path / 'out', '--topics', '/cam')
    said(recorder, 'recording into')
    player = start('play', source, '--loop', '--clock', '--wait-for-subscribers', '/cam')
    said(player, 'playing')
    time.sleep(0.6)
    code, output = end(player, number)
    assert code == 0, output
    assert 'rounds' in output
    assert 'Traceback' not in output
    assert not (tmp_path / 'out').exists()
    recorder.send_signal(number)  # as a launch file does, more than once
    code, output = end(recorder, number)
    assert code == 0, output
    assert 'Traceback' not in output
    with BagReader(tmp_path / 'out') as bag:
        assert bag.message_count > 10


def test_killed_recorder_leaves_no_half_bag(start, tmp_path):
    recorder = start('record', '-o', tmp_path / 'out')
    said(recorder, 'recording into')
    code, _ = end(recorder, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert not (tmp_path / 'out').exists()


def test_errors_are_one_sentence(ros_domain, tmp_path, capsys):
    source = write_small_bag(tmp_path / 'source', frames=1)
    assert main(['record', '-o', str(source), '--seconds', '0']) == 1
    assert 'already holds a bag' in capsys.readouterr().err
    assert main(['play', str(tmp_path / 'none')]) == 1
    assert 'does not exist' in capsys.readouterr().err
    assert main(['play', str(source), '--rate', '0']) == 1
    assert 'rate' in capsys.readouterr().err
    words = ['play', str(source), '--wait-for-subscribers', '--wait-timeout', '0.1']
    assert main(words) == 1
    assert 'no subscriber' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(['play', str(source), '--remap', '/a=/b'])


def test_wait_only_ends_when_somebody_listens(start, tmp_path, capsys):
    bag = write_small_bag(tmp_path / 'bag', strange=False)
    assert main(['play', str(bag), '--wait-only']) == 1
    assert '--wait-only needs --wait-for-subscribers' in capsys.readouterr().err
    waiting = start('play', bag, '--wait-only', '--wait-for-subscribers', '/cam')
    other = start('play', bag, '--topics', '/note', '--delay', '2')
    assert other.wait(30) == 0 and waiting.poll() is None  # nobody listens to /cam so far
    assert 'published 1 messages' in other.stdout.read()
    # a recorder listens to what has a publisher, so this ends the waiting
    recorder = start('record', '-o', tmp_path / 'out', '--topics', '/cam')
    assert waiting.wait(30) == 0
    assert 'published' not in waiting.stdout.read()
    recorder.send_signal(signal.SIGINT)
    assert recorder.wait(30) == 0
    with BagReader(tmp_path / 'out') as recorded:
        assert recorded.message_count == 0


def test_record_for_some_seconds(ros_domain, tmp_path, capsys):
    out = tmp_path / 'out'
    assert main(['record', '-o', str(out), '--seconds', '0.3', '--topics', '/never']) == 0
    assert 'never published: /never' in capsys.readouterr().out
    with BagReader(out) as bag:
        assert bag.message_count == 0


@pytest.mark.parametrize('verb', ['play', 'record'])
def test_missing_bag_library_is_named(verb):
    code = (
        'import sys; sys.modules["rosbags"] = None; '
        f'from monother_ros.cli.main import main; sys.exit(main(["{verb}", "x"]))'
    )
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert result.returncode == 1
    assert "is not installed; pip install 'monother_ros[bags]'" in result.stderr
    assert 'Traceback' not in result.stderr
