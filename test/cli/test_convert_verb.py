# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import sys

import cv2
import numpy as np
import pytest

pytest.importorskip('torch', reason='torch is not installed')
pytest.importorskip('onnx', reason='onnx is not installed')

from checkpoints import make_checkpoint

from monother_ros.cli import convert as verb
from monother_ros.cli.main import main
from monother_ros.core.bundle import load_bundle


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp('checkpoints') / 'authors.pt')


def call(*words):
    return main(['convert', *(str(word) for word in words)])


def test_one_command_makes_a_bundle_and_says_what_it_did(checkpoint, tmp_path, capsys, shared):
    frame = shared('data/thermal_rgb_pair/left_thr.png')
    target, figures = tmp_path / 'models' / 'mine', tmp_path / 'f.json'
    options = ('--frame', frame, '--json', figures, '--focal-length', '430', '--name', 'other')
    assert call(checkpoint, '--to', target, '--size', '56x84', *options) == 0
    bundle = load_bundle(target)
    assert (bundle.name, bundle.input_size, bundle.focal_length) == ('other', (84, 56), 430.0)
    said = capsys.readouterr().out
    for words in (
        *('read the checkpoint:', 'export to ONNX:', 'peak memory', 'against torch (fp32)'),
        *('left_thr.png', 'depth max', 'mean relative', 'weights.safetensors', f'model:={target}'),
    ):
        assert words in said, words
    assert 'no --frame' not in said
    written = json.loads(figures.read_text())
    assert written['files [bytes]']['model.onnx'] == bundle.model_path.stat().st_size
    assert written['picture'] == 'left_thr.png'
    assert written['latency [s]'].keys() == {'torch', 'onnxruntime'}


def test_without_a_frame_it_says_what_was_used(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'monother_ros.sim.simulator', None)
    assert call(tmp_path / 'none.pt', '--to', tmp_path / 'a') == 1
    said = capsys.readouterr()
    assert 'no --frame: compared on a made-up picture (the simulator is not installed)' in said.out
    assert 'not on a real picture' in said.out
    assert 'no checkpoint at' in said.err


@pytest.mark.parametrize('branch', ['thermal', 'rgb'])
def test_pictures_that_are_made(branch, monkeypatch):
    def check(picture):
        assert picture.dtype == (np.uint16 if branch == 'thermal' else np.uint8)
        assert picture.ndim == (2 if branch == 'thermal' else 3)
        assert picture.std() > 10

    pytest.importorskip('embreex', reason='embreex is not installed')
    simulated, words = verb.made_picture(branch)
    assert words == 'a simulated street'
    check(simulated)
    monkeypatch.setitem(sys.modules, 'monother_ros.sim.simulator', None)
    made, words = verb.made_picture(branch)
    assert 'made-up' in words
    check(made)
    np.testing.assert_array_equal(made, verb.made_picture(branch)[0])


def test_colours_are_read_red_first(tmp_path):
    picture = np.zeros((4, 6, 3), np.uint8)
    picture[..., 2] = 200  # red in OpenCV's order
    cv2.imwrite(str(tmp_path / 'red.png'), picture)
    assert verb.read_picture(tmp_path / 'red.png', 'rgb')[0, 0].tolist() == [200, 0, 0]


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [
        (('none.pt', '--to', 'b'), 'no checkpoint at'),
        (('text.pt', '--to', 'b'), 'is no checkpoint'),
        (('text.pt', '--to', 'b', '--frame', 'none.png'), 'there is no picture at'),
        (('text.pt', '--to', 'b', '--frame', 'text.pt'), 'is no picture that OpenCV can read'),
        (('text.pt', '--to', 'b', '--frame', 'color.png'), 'a thermal frame has one channel'),
        (('text.pt', '--to', 'b', '--frame', 'grey.png', '--branch', 'rgb'), '8-bit colour'),
        (('text.pt', '--to', 'b', '--threads', '-1'), 'threads are not possible'),
    ],
)
def test_mistakes_are_one_sentence(tmp_path, monkeypatch, capsys, words, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'text.pt').write_text('not weights')
    cv2.imwrite('color.png', np.zeros((4, 4, 3), np.uint8))
    cv2.imwrite('grey.png', np.zeros((4, 4), np.uint16))
    monkeypatch.setitem(sys.modules, 'monother_ros.sim.simulator', None)
    assert call(*words) == 1
    error = capsys.readouterr().err
    assert sentence in error and 'Traceback' not in error
    assert not (tmp_path / 'b').exists()


@pytest.mark.parametrize(
    ('option', 'sentence'),
    [
        (('--size', '250x640'), 'height 250 -> 238 or 252, width 640 -> 630 or 644'),
        (('--size', '252'), 'is not of the form HEIGHTxWIDTH'),
        (('--focal-length', '-3'), 'is no focal length'),
        (('--precision', 'int8'), 'invalid choice'),
    ],
)
def test_wrong_usage(capsys, option, sentence):
    with pytest.raises(SystemExit) as caught:
        call('a.pt', '--to', 'b', *option)
    assert caught.value.code == 2
    assert sentence in ' '.join(capsys.readouterr().err.split())
