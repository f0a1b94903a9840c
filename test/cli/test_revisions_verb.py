# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
from revision_data import brighter, hidden, infer, picture, tiny, write

from monother_ros.cli.main import main
from monother_ros.core.bundle import load_bundle
from monother_ros.learning.revisions import RevisionStore

pytest.importorskip('onnx')


@pytest.fixture
def model(tmp_path):
    return tiny(tmp_path / 'models' / 'tiny')


@pytest.fixture
def store(tmp_path, model):
    with RevisionStore(tmp_path / 'store') as store:
        base = store.write_base(model, [picture(model)])
        metrics = {'gain': 0.125, 'anchor_change': -0.01, 'held_out': {'pairs': 12}}
        first = write(store, base, brighter(0.9), model, metrics=metrics)
        write(store, first, brighter(0.5), model, metrics={'gain': 0.25})
        store.use(first.revision)
        store.names = [item.name for item in store.revisions()]
        yield store


@pytest.fixture
def call(store, capsys):
    def run(*words):
        code = main(['revisions', *words, '--store', str(store.folder)])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


def test_list(store, call):
    code, shown, _ = call('list')
    assert code == 0
    lines = {line.split()[1 if line.startswith('*') else 0]: line for line in shown.splitlines()}
    base, first, second = (lines[name] for name in store.names)
    assert first.startswith('*')
    assert not base.startswith('*')
    assert not second.startswith('*')
    assert 'r1' in base.split()
    assert '+12.50%' in first
    assert '-1.00%' in first
    assert 'base' in first.split()
    assert 'a1' in second.split()
    assert 'to be used now' not in shown


def test_list_names_damaged_and_withdrawn_ones(store, call):
    store.withdraw(store.names[2], 'worse at night')
    path = store.folder / store.names[1] / 'initialisers.safetensors'
    path.write_bytes(path.read_bytes()[:-1])
    code, shown, _ = call('list', '--verify')
    assert code == 1
    assert 'withdrawn: worse at night' in shown
    assert 'DAMAGED: ' in shown
    assert f'to be used now: {store.names[0]}, because {store.names[1]}' in shown


def test_list_of_nothing(tmp_path, capsys):
    assert main(['revisions', 'list', '--store', str(tmp_path / 'none')]) == 0
    assert 'nothing was learned yet' in capsys.readouterr().out


def test_use(store, call):
    for text, wanted in (('a2', 2), ('base', 0), (store.names[1], 1), ('current', 1)):
        code, shown, _ = call('use', text)
        assert code == 0
        assert f'{store.names[wanted]} is in use' in shown
        assert store.current().revision == store.names[wanted]
    assert '1 stored frame, depth differs by 0.0' in shown


def test_use_refuses_what_does_not_run_as_it_did(store, call):
    """Weights that were exchanged together with their hash still show on the stored frame."""
    import hashlib
    import json

    folder = store.folder / store.names[2]
    other = (store.folder / store.names[1] / 'initialisers.safetensors').read_bytes()
    (folder / 'initialisers.safetensors').write_bytes(other)
    manifest = json.loads((folder / 'model.json').read_text())
    manifest['files']['initialisers.safetensors'] = hashlib.sha256(other).hexdigest()
    (folder / 'model.json').write_text(json.dumps(manifest))
    code, _, error = call('use', 'a2')
    assert code == 1
    assert 'depth differs from what is expected' in error
    assert store.current().revision == store.names[1]


@pytest.mark.parametrize('task', ['use', 'export'])
def test_unknown_revision(store, call, task, tmp_path):
    more = ['--to', str(tmp_path / 'x')] if task == 'export' else []
    code, _, error = call(task, 'a9', *more)
    assert code == 1
    assert error.startswith("monother revisions: there is no revision 'a9'")
    assert store.names[2] in error


def test_ambiguous_base(store, call, tmp_path):
    store.write_base(tiny(tmp_path / 'models' / 'two', revision='r2'))
    code, _, error = call('use', 'base')
    assert code == 1
    assert 'may be any of' in error


def test_diff(store, call):
    code, shown, _ = call('diff', 'a1', 'a2')
    assert code == 0
    # 0.9 / 25 became 0.5 / 25
    line = next(line for line in shown.splitlines() if line.startswith('kernel'))
    assert line.split()[1] == '44.4444%'
    assert float(line.split()[2]) == pytest.approx(0.016, rel=1e-3)
    assert '1 layers differ' not in shown
    assert '1 layer differs' in shown
    assert 'gain: 0.125 -> 0.25' in shown
    assert 'held_out.pairs: 12 -> -' in shown
    assert 'the weights are the same' in call('diff', 'a1', 'current')[1]


def test_export_needs_no_store(store, call, tmp_path, model):
    target = tmp_path / 'exported'
    revision = store.load(store.names[2])
    inputs = picture(model, 4)
    wanted = infer(revision, inputs)
    code, shown, _ = call('export', 'a2', '--to', str(target))
    assert code == 0
    assert str(target) in shown
    store.close()
    bundle = load_bundle(target)
    assert bundle.external is None
    assert (bundle.revision, bundle.parent) == (revision.revision, store.names[1])
    assert set(bundle.files) == {'model.onnx', 'weights.safetensors', 'check.safetensors'}
    assert bundle.training['learned_from']['base']['revision'] == store.names[0]
    for item in store.folder.iterdir():
        if item.is_dir():
            item.rename(item.with_name(f'.{item.name}'))
    for key, value in infer(bundle, inputs).items():
        np.testing.assert_allclose(value, wanted[key], rtol=1e-6)


def test_exported_model_may_be_learned_from_again(store, call, tmp_path):
    target = tmp_path / 'exported'
    call('export', 'a2', '--to', str(target))
    store.close()
    with RevisionStore(tmp_path / 'second') as second:
        base = second.write_base(load_bundle(target))
        assert base.training['base']['original'] == store.names[2]
        assert base.training['lineage'] == []


def test_export_never_replaces_a_folder(store, call, tmp_path):
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'precious').write_text('x')
    code, _, error = call('export', 'a2', '--to', str(tmp_path / 'mine'))
    assert code == 1
    assert 'exists' in error
    assert (tmp_path / 'mine' / 'precious').read_text() == 'x'


def test_export_that_differs_is_refused(store, call, tmp_path, monkeypatch):
    from monother_ros.networks import external_data

    real = external_data.embed
    monkeypatch.setattr(external_data, 'embed', lambda graph, data, values: real(graph, data))
    code, _, error = call('export', 'a2', '--to', str(tmp_path / 'x'))
    assert code == 1
    assert 'depth differs from what is expected' in error
    assert not (tmp_path / 'x').exists()
    assert hidden(tmp_path) == []


def test_default_store_is_that_of_the_environment(store, capsys, monkeypatch):
    monkeypatch.setenv('MONOTHER_REVISIONS', str(store.folder))
    assert main(['revisions', 'list']) == 0
    assert store.names[2] in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(['revisions', 'list', '--help'])
    assert '$MONOTHER_REVISIONS' in capsys.readouterr().out
