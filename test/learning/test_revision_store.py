# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
from revision_data import (
    brighter,
    hidden,
    refused,
    tiny,
    write,
)

from monother_ros.core.errors import AdaptationError, BundleError
from monother_ros.learning.revision_files import next_number, number_of, root_of
from monother_ros.learning.revisions import (
    RevisionReader,
    RevisionStore,
    default_folder,
    descends,
)

pytest.importorskip('onnx')


# numbers and history


def test_names_say_root_number_and_content(three, model):
    assert root_of(three[2].revision) == 'r1'
    assert [number_of(item.revision) for item in three] == [1, 2, 3]
    assert root_of('x-a1-deadbeef-a12-cafebabe') == 'x-a1-deadbeef'
    assert number_of('x-a1-deadbeef-a12-cafebabe') == 12
    for name in ('x', 'a1-deadbeef', 'x-a1-deadbee', 'x-a1-DEADBEEF', 'x-a-deadbeef', '.x-a1'):
        assert number_of(name) is None


def test_numbers_are_never_used_twice(store, base, model, three):
    store.use(base.revision)
    for item in three:
        store.remove(item.revision)
    assert number_of(write(store, base, brighter(0.8), model).revision) == 4
    (store.folder / 'counter.json').write_text('nonsense')
    assert number_of(write(store, base, brighter(0.8), model).revision) == 5
    (store.folder / 'counter.json').unlink()
    assert next_number(store.folder) == 6


def test_history_is_bounded(store, base, model):
    parent, names = base, []
    for k in range(9):
        parent = write(store, parent, brighter(0.95 - 0.02 * k), model)
        store.use(parent.revision)
        names.append(parent.revision)
    kept = [item.name for item in store.revisions()]
    assert kept == [base.revision, *names[-4:]]
    assert store.lineage(names[-1]) == [*reversed(names), base.revision]
    assert hidden(store.folder) == []
    assert all(item.defect == '' for item in store.revisions(verify=True))


def test_what_is_needed_to_go_back_stays(store, base, model, three):
    """The one in use, its ancestors and the one before are kept though newer ones come."""
    for k in range(6):
        write(store, three[2], brighter(0.5 - 0.02 * k), model)
    kept = {item.number for item in store.revisions()}
    assert {0, 1, 2, 3, 9} <= kept
    assert len(kept) <= 1 + store.limit


def test_withdrawn_ones_go_first(store, base, model):
    names = [write(store, base, brighter(0.9 - 0.05 * k), model).revision for k in range(4)]
    store.withdraw(names[2], 'a test')
    write(store, base, brighter(0.5), model)
    assert [item.number for item in store.revisions()] == [0, 1, 2, 4, 5]


def test_limit_that_is_too_small(tmp_path):
    with pytest.raises(AdaptationError, match='too small'):
        RevisionStore(tmp_path, limit=2)


# which one is in use


def test_use_and_the_one_before(store, base, three):
    first, second, third = three
    record = json.loads((store.folder / 'current.json').read_text())
    assert record['revision'] == third.revision
    assert record['digest'] == third.digest
    assert record['previous'] == second.revision
    store.use(first.revision)
    store.use(first.revision)
    assert store.current().digest == first.digest
    record = json.loads((store.folder / 'current.json').read_text())
    assert record['previous'] == third.revision, 'used twice is no reason to forget it'
    assert store.newest().revision == third.revision


@pytest.mark.parametrize('name', ['', '.', '..', '../models', 'nothing', 'r1-a9-00000000', '/'])
def test_use_of_what_is_not_there(store, three, name):
    refused(store, 'there is no revision', lambda: store.use(name))
    assert store.current().digest == three[2].digest


def test_use_of_a_damaged_one(store, three):
    path = three[0].path / 'initialisers.safetensors'
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(AdaptationError, match=r'cannot be used: .*changed or damaged'):
        store.use(three[0].revision)
    assert store.current().digest == three[2].digest


def test_rollback_goes_along_the_lineage(store, base, three):
    first, second, third = three
    store.withdraw(second.revision, 'found to be bad before')
    assert store.rollback('worse on held-out pairs').revision == first.revision
    infos = {item.name: item for item in store.revisions()}
    assert infos[third.revision].withdrawn == 'worse on held-out pairs'
    assert infos[first.revision].current
    assert store.newest().revision == first.revision
    assert store.rollback('again').revision == base.revision
    with pytest.raises(AdaptationError, match='no good revision to go back to'):
        store.rollback('once more')
    store.use(third.revision)
    assert not (third.path / 'withdrawn.txt').exists(), 'a person may take it back'


def damage(path):
    path.write_bytes(path.read_bytes()[:-1] + b'\7')


DEFECTS = {
    'current is missing': (
        lambda f, r: (f / 'current.json').unlink(),
        2,
        'current.json is missing',
    ),
    'current is cut off': (
        lambda f, r: (f / 'current.json').write_text('{"revision": "r1-'),
        2,
        'is damaged',
    ),
    'current is empty': (lambda f, r: (f / 'current.json').write_text(''), 2, 'is damaged'),
    'current is a list': (lambda f, r: (f / 'current.json').write_text('[]'), 2, 'JSON object'),
    'current names a path': (
        lambda f, r: (f / 'current.json').write_text(
            json.dumps({'revision': '../x', 'digest': 'd', 'changed': 1})
        ),
        2,
        'is damaged',
    ),
    'newest has lost its weights': (
        lambda f, r: (r[2].path / 'initialisers.safetensors').unlink(),
        1,
        'is missing, though',
    ),
    'newest has changed weights': (
        lambda f, r: damage(r[2].path / 'initialisers.safetensors'),
        1,
        'changed or damaged',
    ),
    'newest has no manifest': (lambda f, r: (r[2].path / 'model.json').unlink(), 1, 'holds no'),
    'newest is gone': (lambda f, r: shutil.rmtree(r[2].path), 1, 'there is no revision'),
    'newest is empty': (
        lambda f, r: (shutil.rmtree(r[2].path), r[2].path.mkdir()),
        1,
        'holds no model.json',
    ),
    'newest was withdrawn': (
        lambda f, r: (r[2].path / 'withdrawn.txt').write_text('bad'),
        1,
        'was withdrawn',
    ),
    'newest says something else': (
        lambda f, r: (r[2].path / 'model.json').write_text(
            (r[2].path / 'model.json').read_text().replace('"training"', '"training": {}, "x"')
        ),
        1,
        'is not what was put in use',
    ),
    'newest and the one before': (
        lambda f, r: (shutil.rmtree(r[2].path), damage(r[1].path / 'model.json')),
        0,
        'is not valid JSON',
    ),
}


@pytest.mark.parametrize('case', DEFECTS)
def test_reader_gets_the_last_good_one(store, base, three, case):
    action, wanted, reason = DEFECTS[case]
    action(store.folder, three)
    found = RevisionReader(store.folder).good()
    assert found.bundle.digest == three[wanted].digest
    assert reason in found.reason
    assert store.current().digest == three[wanted].digest


def test_base_is_the_last_resort(store, base, three):
    for item in three:
        (item.path / 'check.safetensors').unlink()
    found = store.good()
    assert found.bundle.revision == base.revision
    assert found.reason.count('check.safetensors') == 3
    shutil.rmtree(base.path)
    found = store.good()
    assert found.bundle is None
    assert 'no usable revision' in found.reason


def test_reader_of_nothing(tmp_path):
    reader = RevisionReader(tmp_path / 'none')
    assert reader.good().bundle is None
    assert 'there are no revisions in' in reader.good().reason
    assert reader.revisions() == []
    assert reader.newest() is None
    assert not reader.changed()
    assert not (tmp_path / 'none').exists()


def test_lost_record_is_mended_by_the_writer(store, model, three):
    (store.folder / 'current.json').write_text('half')
    store.write_base(model)
    assert store.good().reason == ''
    assert store.current().digest == three[2].digest


def test_change_is_seen_once(store, base, three):
    reader = RevisionReader(store.folder)
    assert not reader.changed()
    store.use(base.revision)
    assert reader.changed()
    assert not reader.changed()
    store.withdraw(three[0].revision, 'x')
    assert not reader.changed()


def test_another_model_is_not_taken_for_a_relative(store, base, model, three, tmp_path):
    other = tiny(tmp_path / 'models' / 'other', revision='r9')
    assert all(descends(item, model) and descends(item, base) for item in (base, *three))
    assert not descends(three[0], other)
    assert not descends(model, model)
    second = store.write_base(other)
    assert store.current().digest == three[2].digest, 'what is in use stays'
    store.use(write(store, other, brighter(0.6), other).revision)
    shutil.rmtree(store.current().path)
    (store.folder / 'current.json').write_text(
        (store.folder / 'current.json').read_text().replace(three[2].revision, 'gone-a1-00000000')
    )
    assert store.good().bundle.digest == second.digest, 'of the same model first'


# listing


def test_listing_names_what_is_damaged(store, base, three):
    damage(three[0].path / 'initialisers.safetensors')
    (three[1].path / 'model.json').write_text('{')
    plain = {item.name: item.defect for item in store.revisions()}
    assert plain[three[0].revision] == ''
    assert 'not valid JSON' in plain[three[1].revision]
    full = {item.name: item.defect for item in store.revisions(verify=True)}
    assert 'changed or damaged' in full[three[0].revision]
    assert full[three[2].revision] == full[base.revision] == ''


def test_renamed_folder_is_damaged(store, three):
    name = 'r1-a7-00000000'
    three[0].path.rename(store.folder / name)
    info = next(item for item in store.revisions() if item.name == name)
    assert 'holds the revision r1-a1-' in info.defect
    with pytest.raises(BundleError, match='was renamed'):
        store.load(name)


def test_default_folder(monkeypatch, tmp_path):
    monkeypatch.setenv('MONOTHER_REVISIONS', str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv('MONOTHER_REVISIONS')
    monkeypatch.setenv('HOME', str(tmp_path))
    assert default_folder() == tmp_path / '.local/share/monother_ros/revisions'


# several processes


def test_one_writer(store, base, model):
    with RevisionStore(store.folder) as second:
        with pytest.raises(AdaptationError, match=f'written by process {os.getpid()}'):
            second.acquire()
        with pytest.raises(AdaptationError, match='are being written by'):
            write(second, base, brighter(0.8), model)
        second.use(base.revision)  # saying which one is in use is open to all
        store.close()
        assert second.acquire() == []
        assert write(second, base, brighter(0.8), model).parent == base.revision


def test_change_waits_for_another_one(store, base, monkeypatch):
    from monother_ros.learning import revision_lock

    monkeypatch.setattr(revision_lock, 'PATIENCE', 0.05)
    busy = pytest.raises(AdaptationError, match='is being changed by process')
    with revision_lock.changing(store.folder), busy:
        store.use(base.revision)
    assert store.use(base.revision).digest == base.digest


def test_leftovers_are_swept_by_the_writer_alone(store, base, model, monkeypatch):
    store.close()
    half = store.folder / '.r1-a1-00000000.abc123'
    half.mkdir()
    (half / 'model.onnx').write_bytes(b'half')
    (store.folder / '.current.json.xyz').write_text('{')
    reader = RevisionReader(store.folder)
    assert reader.good().reason == ''
    assert half.exists()
    assert sorted(store.acquire()) == ['.current.json.xyz', half.name]
    assert hidden(store.folder) == []


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(AdaptationError, match='cannot hold revisions'):
        RevisionStore(tmp_path / 'file' / 'store').acquire()


def test_reader_needs_no_torch():
    """The depth node reads stores on robots that have neither torch nor onnx."""
    code = (
        'import sys, monother_ros.learning.revisions, monother_ros.cli.revisions; '
        'print([m for m in ("torch", "onnx", "safetensors", "onnxruntime") if m in sys.modules])'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '[]'
