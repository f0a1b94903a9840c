# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import hashlib
import json
import os
import shutil

import pytest
from bundles import make_bundle

from monother_ros.core import models, share
from monother_ros.core.bundle import (
    Normalisation,
    TensorSpec,
    find_bundle,
    load_bundle,
    write_bundle,
)
from monother_ros.core.errors import BundleError


@pytest.fixture
def bundle(tmp_path):
    write_bundle(
        tmp_path / 'm',
        model=b'not checked here',
        name='m',
        revision='r1',
        inputs=[TensorSpec('thermal', (1, 1, 8, 16))],
        normalisation=Normalisation('percentile', 2, 98),
        depth_range=(0.5, 80.0),
        extra_files={'weights/w.safetensors': b'w'},
        metrics={'abs_rel': 0.1},
    )
    return tmp_path / 'm'


def edit(folder, change):
    path = folder / 'model.json'
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def test_written_bundle_reads_back(bundle):
    loaded = load_bundle(bundle)
    assert loaded.input_size == (16, 8)
    assert loaded.outputs == {'depth': 'depth', 'confidence': 'confidence'}
    assert loaded.model_path.read_bytes() == b'not checked here'
    assert set(loaded.files) == {'model.onnx', 'weights/w.safetensors'}
    assert loaded.metrics == {'abs_rel': 0.1}
    assert loaded.parent is None
    assert loaded.focal_length is None


def test_digest_follows_content_not_layout(bundle):
    before = load_bundle(bundle).digest
    edit(bundle, lambda data: None)  # other white space
    assert load_bundle(bundle).digest == before
    edit(bundle, lambda data: data.update(revision='r2'))
    assert load_bundle(bundle).digest != before


def test_unknown_fields_are_left_for_later_versions(bundle):
    edit(bundle, lambda data: data.update(author='somebody'))
    assert load_bundle(bundle).revision == 'r1'


DEFECTS = {
    'format is missing': (lambda d: d.pop('format'), "the field 'format' is missing"),
    'format is a text': (lambda d: d.update(format='1'), "'format' must be a whole number"),
    'newer format': (lambda d: d.update(format=99), 'is of format 99.*update monother_ros'),
    'format 0': (lambda d: d.update(format=0), 'never existed'),
    'name is missing': (lambda d: d.pop('name'), "the field 'name' is missing"),
    'name is a path': (lambda d: d.update(name='../x'), "'name' must be letters"),
    'revision is a number': (lambda d: d.update(revision=3), "'revision' must be a text"),
    'unknown modality': (lambda d: d.update(modality='sonar'), "'modality' must be one of"),
    'no inputs': (lambda d: d.update(inputs=[]), "'inputs' must be a list with at least one"),
    'input is a text': (lambda d: d.update(inputs=['x']), r'inputs\[0\] must be a JSON object'),
    'shape is missing': (lambda d: d['inputs'][0].pop('shape'), r"inputs\[0\].*'shape'"),
    'shape of three': (lambda d: d['inputs'][0].update(shape=[1, 8, 8]), 'must be .1, channels'),
    'batch of two': (lambda d: d['inputs'][0].update(shape=[2, 1, 8, 8]), 'must be .1, channels'),
    'shape with a truth value': (
        lambda d: d['inputs'][0].update(shape=[True, 1, 8, 8]),
        'a list of whole numbers',
    ),
    'unknown dtype': (lambda d: d['inputs'][0].update(dtype='int8'), "'dtype' must be one of"),
    'outputs is a list': (lambda d: d.update(outputs=[]), "'outputs' must be a JSON object"),
    'no depth': (lambda d: d.update(outputs={'x': 'y'}), "names no 'depth'"),
    'output is a number': (lambda d: d.update(outputs={'depth': 1}), "'outputs.depth' must be"),
    'unknown method': (
        lambda d: d['normalisation'].update(method='clahe'),
        "normalisation: the field 'method' must be one of percentile",
    ),
    'percentile of 101': (lambda d: d['normalisation'].update(high=101), r'within 0\.\.100'),
    'low above high': (lambda d: d['normalisation'].update(low=99), 'must be below high'),
    'std of 0': (lambda d: d['normalisation'].update(std=0), 'std must be > 0'),
    'unknown resize': (
        lambda d: d['normalisation'].update(resize='cubic'),
        "'resize' must be one of area, aligned",
    ),
    'two channels': (lambda d: d['normalisation'].update(channels=2), '1 or 3 times'),
    'other channels': (lambda d: d['normalisation'].update(channels=3), 'has 1 channels'),
    'low is a truth value': (
        lambda d: d['normalisation'].update(low=True),
        "'low' must be a finite number",
    ),
    'depth range is one number': (
        lambda d: d.update(depth_range=[1]),
        "'depth_range' must be a list of 2",
    ),
    'depth range is turned': (lambda d: d.update(depth_range=[9, 1]), 'nearest < farthest'),
    'focal length of 0': (
        lambda d: d.update(focal_length=0),
        "'focal_length' must be a number > 0",
    ),
    'training is a text': (lambda d: d.update(training='x'), "'training' must be a JSON object"),
    'model is not listed': (lambda d: d['files'].pop('model.onnx'), 'does not list model.onnx'),
    'hash is short': (lambda d: d['files'].update({'model.onnx': 'ab'}), 'is not a sha256'),
    'file outside': (
        lambda d: d['files'].update({'../model.onnx': '0' * 64}),
        'lies outside of the bundle',
    ),
    'absolute file': (
        lambda d: d['files'].update({'/etc/passwd': '0' * 64}),
        'lies outside of the bundle',
    ),
    'file is missing': (
        lambda d: d['files'].update({'gone.bin': '0' * 64}),
        'gone.bin is missing, though model.json lists it',
    ),
}


@pytest.mark.parametrize('defect', DEFECTS)
def test_each_defect_has_its_own_sentence(bundle, defect):
    change, sentence = DEFECTS[defect]
    edit(bundle, change)
    with pytest.raises(BundleError, match=sentence):
        load_bundle(bundle)


def test_sentences_differ():
    assert len({sentence for _, sentence in DEFECTS.values()}) > 25


def test_missing_folder(tmp_path):
    with pytest.raises(BundleError, match='there is no model bundle at'):
        load_bundle(tmp_path / 'none')


def test_file_instead_of_folder(tmp_path):
    (tmp_path / 'f').write_text('')
    with pytest.raises(BundleError, match='is a file; a model bundle is a folder'):
        load_bundle(tmp_path / 'f')


def test_missing_manifest(tmp_path):
    with pytest.raises(BundleError, match=r'holds no model\.json'):
        load_bundle(tmp_path)


@pytest.mark.parametrize(
    ('content', 'sentence'),
    [
        (b'{"format": 1,', 'is not valid JSON'),
        (b'\xff\xfe\x00', 'cannot be read as UTF-8'),
        (b'[1]', 'must be a JSON object, but is a list'),
        (b'null', 'but is null'),
        (b'[' * 100_000, 'is not valid JSON'),
    ],
)
def test_damaged_manifest(bundle, content, sentence):
    (bundle / 'model.json').write_bytes(content)
    with pytest.raises(BundleError, match=sentence):
        load_bundle(bundle)


def test_changed_file(bundle):
    (bundle / 'model.onnx').write_bytes(b'other')
    with pytest.raises(BundleError, match='it was changed or damaged'):
        load_bundle(bundle)
    assert load_bundle(bundle, verify=False).name == 'm'


def test_link_out_of_the_folder(bundle, tmp_path):
    outside = tmp_path / 'outside.onnx'
    shutil.move(bundle / 'model.onnx', outside)
    (bundle / 'model.onnx').symlink_to(outside)
    with pytest.raises(BundleError, match=r'is a link to .* outside of the bundle'):
        load_bundle(bundle)


def test_installation_by_links_is_accepted(bundle, tmp_path):
    installed = tmp_path / 'install' / 'm'
    (installed / 'weights').mkdir(parents=True)
    for name in ('model.json', 'model.onnx', 'weights/w.safetensors'):
        (installed / name).symlink_to(bundle / name)
    assert load_bundle(installed).name == 'm'


def test_resize_is_written_only_where_it_is_not_the_usual_one(bundle, tmp_path):
    manifest = json.loads((bundle / 'model.json').read_text())
    assert manifest['format'] == 1 and 'resize' not in manifest['normalisation']
    assert load_bundle(bundle).normalisation.resize == 'area'
    aligned = write_bundle(
        tmp_path / 'aligned',
        model=b'x',
        name='m',
        revision='r1',
        inputs=[TensorSpec('thermal', (1, 3, 14, 28))],
        normalisation=Normalisation('percentile', 2, 98, channels=3, resize='aligned'),
        depth_range=(0.5, 80.0),
    )
    assert aligned.normalisation.resize == 'aligned'
    # a reader that knows format 1 only would resize wrongly without a word
    assert json.loads((aligned.path / 'model.json').read_text())['format'] == 2


def test_the_digest_of_an_older_bundle_is_that_of_its_manifest(bundle):
    data = json.loads((bundle / 'model.json').read_text())
    canonical = json.dumps(data, sort_keys=True, separators=(',', ':'))
    assert load_bundle(bundle).digest == hashlib.sha256(canonical.encode()).hexdigest()
    assert set(data['normalisation']) == {
        *('method', 'low', 'high', 'mean', 'std', 'channels', 'time_constant')
    }


def test_large_files_are_written_in_place(bundle, tmp_path):
    seen = []

    def model(path):
        seen.append(path)
        path.write_bytes(b'streamed')

    fields = {
        'name': 'm',
        'revision': 'r2',
        'inputs': [TensorSpec('thermal', (1, 1, 8, 16))],
        'normalisation': Normalisation('percentile', 2, 98),
    }
    written = write_bundle(bundle, model=model, depth_range=(0.5, 80.0), **fields)
    assert written.model_path.read_bytes() == b'streamed'
    assert seen[0].parent.parent == bundle.parent and not seen[0].exists()

    def broken(path):
        path.write_bytes(b'half')
        raise OSError('disk full')

    with pytest.raises(OSError, match='disk full'):
        write_bundle(bundle, model=broken, depth_range=(0.5, 80.0), **fields)
    assert load_bundle(bundle).model_path.read_bytes() == b'streamed'
    with pytest.raises(BundleError, match='nearest < farthest'):
        write_bundle(bundle, model=model, depth_range=(80.0, 0.5), **fields)
    assert len(seen) == 1  # refused before anything was written
    assert [p.name for p in tmp_path.iterdir()] == ['m']


def test_write_replaces_whole_or_not_at_all(bundle, monkeypatch):
    before = load_bundle(bundle)

    def fail(*_, **__):
        raise OSError('disk full')

    monkeypatch.setattr('os.fsync', fail)
    with pytest.raises(OSError, match='disk full'):
        make_bundle(bundle, 8, 16, revision='r2')
    monkeypatch.undo()
    assert load_bundle(bundle) == before
    assert [p.name for p in bundle.parent.iterdir()] == ['m']
    assert make_bundle(bundle, 8, 16, revision='r2').revision == 'r2'
    assert [p.name for p in bundle.parent.iterdir()] == ['m']
    assert not (bundle / 'weights').exists()


@pytest.mark.parametrize(
    'wrong', [{'depth_range': (80.0, 0.5)}, {'metrics': {'x': float('nan')}}, {'name': 'a/b'}]
)
def test_write_refuses_what_could_not_be_read(tmp_path, wrong):
    fields = {
        'model': b'',
        'name': 'm',
        'revision': '1',
        'inputs': [TensorSpec('thermal', (1, 1, 8, 8))],
        'normalisation': Normalisation('fixed', 0, 100),
        'depth_range': (1.0, 2.0),
    } | wrong
    with pytest.raises(BundleError):
        write_bundle(tmp_path / 'm', **fields)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def no_models(monkeypatch, tmp_path):
    """No bundle is installed anywhere."""
    monkeypatch.delenv('MONOTHER_MODELS', raising=False)
    monkeypatch.delenv('AMENT_PREFIX_PATH', raising=False)
    monkeypatch.setattr(share.sys, 'prefix', str(tmp_path / 'prefix'))
    monkeypatch.setattr(share.sysconfig, 'get_path', lambda *_: str(tmp_path / 'data'))
    monkeypatch.setattr(share, '__file__', str(tmp_path / 'site/monother_ros/core/share.py'))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(folder, name='lite'):
    (folder / name).mkdir(parents=True)
    (folder / name / 'model.json').write_text('{}')
    return folder / name


def test_name_is_found_in_order(no_models, monkeypatch):
    places = [
        no_models / 'site/models',
        no_models / 'prefix/share/monother_ros/models',
        no_models / 'ament/share/monother_ros/models',
        no_models / 'mine',
    ]
    (no_models / 'site').mkdir()
    (no_models / 'site/package.xml').write_text('')
    monkeypatch.setenv('AMENT_PREFIX_PATH', f'/nowhere{os.pathsep}{no_models / "ament"}')
    monkeypatch.setenv('MONOTHER_MODELS', f'/nowhere{os.pathsep}{no_models / "mine"}')
    for place in places:
        assert find_bundle_or_none('lite') != place / 'lite'
        expected = put(place)
        assert find_bundle('lite') == expected
    assert models.list_bundles()['lite'] == places[-1] / 'lite'


def find_bundle_or_none(name):
    try:
        return find_bundle(name)
    except BundleError:
        return None


def test_path_beats_name_only_when_it_looks_like_one(no_models, monkeypatch):
    monkeypatch.setenv('MONOTHER_MODELS', str(no_models / 'mine'))
    named, local = put(no_models / 'mine'), put(no_models)
    assert find_bundle('lite') == named
    assert find_bundle('./lite').samefile(local)
    assert find_bundle(local) == local


def test_nothing_found_lists_what_is_known(no_models, monkeypatch):
    monkeypatch.setenv('MONOTHER_MODELS', str(no_models / 'mine'))
    put(no_models / 'mine', 'big')
    with pytest.raises(BundleError, match='named lite; known bundles: big'):
        find_bundle('lite')
    with pytest.raises(BundleError, match='no model bundle at'):
        find_bundle('./nothing/here')
    with pytest.raises(BundleError, match='empty'):
        find_bundle('')
