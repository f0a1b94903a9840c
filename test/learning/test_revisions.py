# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import dataclasses
import errno
import os
import resource
import sys

import numpy as np
import pytest
from revision_data import (
    brighter,
    expected,
    hidden,
    infer,
    onnx_weights,
    patched,
    picture,
    refused,
    run_onnx,
    visible,
    write,
)

from monother_ros.core.bundle import load_bundle
from monother_ros.core.errors import AdaptationError
from monother_ros.core.initialisers import replaced_values
from monother_ros.engines.check import read_check
from monother_ros.learning import revision_files
from monother_ros.learning.revision_files import number_of
from monother_ros.learning.revisions import (
    RevisionStore,
)

pytest.importorskip('onnx')


def test_revision_computes_what_a_patched_model_computes(store, base, model):
    revision = write(
        store, base, brighter(0.7), model, metrics={'gain': np.float32(0.25), 'p': float('nan')}
    )
    loaded = load_bundle(store.folder / revision.revision)
    assert loaded.parent == base.revision
    assert loaded.metrics == {'gain': 0.25, 'p': None}
    assert (loaded.name, loaded.inputs, loaded.normalisation) == (
        model.name,
        model.inputs,
        model.normalisation,
    )
    inputs = picture(model, 5)
    wanted = run_onnx(patched(model.model_path.read_bytes(), brighter(0.7)), inputs)
    for key, value in infer(loaded, inputs).items():
        np.testing.assert_allclose(value, wanted[key], atol=1e-6)
    assert (loaded.path / 'weights.safetensors').read_bytes() == b'w'
    assert len(read_check(loaded)) == 1
    assert loaded.training['written'].endswith('+00:00')


def test_base_computes_what_the_model_computes(store, base, model):
    inputs = picture(model, 3)
    for key, value in infer(base, inputs).items():
        np.testing.assert_array_equal(value, infer(model, inputs)[key])
    assert base.parent == model.revision
    assert number_of(base.revision) == 0
    assert store.current().revision == base.revision
    assert store.write_base(model).digest == base.digest
    assert (base.path / 'weights.safetensors').read_bytes() == b'to train on from'
    other = (model.path / 'weights.safetensors').stat().st_ino
    assert (base.path / 'weights.safetensors').stat().st_ino != other, 'linked to the model'


def test_a_made_up_picture_serves_where_none_is_given(store, model):
    base = store.write_base(model)
    frame = read_check(base)[0]
    assert frame.inputs.min() >= 0
    assert frame.inputs.max() <= 1
    assert frame.inputs.std() > 0.1


def test_model_outside_of_the_store_may_be_the_parent(store, model):
    revision = write(store, model, brighter(0.8), model)
    assert revision.parent == store.base(model).revision
    assert store.base(revision).revision == revision.parent
    assert store.current().revision == revision.parent, 'written is not yet in use'


def test_values_of_the_parent_stay_unless_named(store, base, model):
    first = write(store, base, brighter(0.8), model)
    second = write(store, first, {'farthest': np.asarray(40, np.float32)}, model)
    assert replaced_values(second).keys() == {'kernel', 'farthest'}
    np.testing.assert_array_equal(replaced_values(second)['kernel'], brighter(0.8)['kernel'])
    original = onnx_weights(model.model_path.read_bytes())['kernel']
    third = write(store, second, {'kernel': original}, model)
    assert replaced_values(third).keys() == {'farthest'}, 'what is as it came is not stored'


def test_unchanged_files_are_one_file_on_disk(store, base, model, three):
    folders = [base.path, *(item.path for item in three)]
    for name in ('model.onnx', 'model.data'):
        assert len({(folder / name).stat().st_ino for folder in folders}) == 1
    infos = {item.name: item for item in store.revisions()}
    for info in infos.values():
        shared = sum((info.path / n).stat().st_size for n in ('model.onnx', 'model.data'))
        assert info.own_bytes == info.bytes - shared
    assert store.bytes() < sum(item.bytes for item in infos.values())


def test_file_system_without_hard_links(store, base, model, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EPERM, 'Operation not permitted')

    monkeypatch.setattr(revision_files.os, 'link', refuse)
    revision = write(store, base, brighter(0.8), model)
    assert (revision.path / 'model.data').stat().st_nlink == 1
    assert (revision.path / 'model.data').read_bytes() == (base.path / 'model.data').read_bytes()


@pytest.mark.parametrize(
    ('values', 'sentence'),
    [
        ({'kernel': np.full((1, 1, 5, 5), np.nan, np.float32)}, 'kernel are not finite'),
        ({'gone': np.ones(1, np.float32)}, 'replaces gone, which the network does not have'),
        ({'kernel': np.ones((1, 1, 3, 3), np.float32)}, 'another shape or type for kernel'),
        ({'kernel': np.ones((1, 1, 5, 5), np.float16)}, 'another shape or type for kernel'),
        ({}, 'the new weights are those of'),
    ],
)
def test_weights_that_are_refused(store, base, model, values, sentence):
    frame = expected(model, {})
    refused(
        store,
        sentence,
        lambda: store.write(base, values, weights=None, metrics={}, training={}, check=frame),
    )


@pytest.mark.parametrize(
    ('values', 'frame', 'sentence'),
    [
        (brighter(0.8), brighter(0.85), 'depth differs from what is expected by'),
        (brighter(30.0), brighter(30.0), 'within the range of'),
        ({'farthest': np.asarray(3e38, np.float32)}, {}, 'within the range|not finite'),
    ],
)
def test_revision_that_does_not_compute_as_expected(store, base, model, values, frame, sentence):
    refused(
        store, sentence, lambda: write(store, base, values, model, check=expected(model, frame))
    )


def test_several_frames_each_count(store, base, model):
    good, bad = expected(model, brighter(0.8), 1), expected(model, brighter(0.9), 2)
    refused(
        store,
        'stored frame 1',
        lambda: write(store, base, brighter(0.8), model, check=[good, bad]),
    )
    refused(store, 'at least one', lambda: write(store, base, brighter(0.8), model, check=[]))
    other = expected(model, brighter(0.8), 2)
    assert len(read_check(write(store, base, brighter(0.8), model, check=[good, other]))) == 2


def test_metrics_that_json_cannot_hold(store, base, model):
    refused(
        store,
        'cannot be described in JSON',
        lambda: write(store, base, brighter(0.8), model, metrics={'x': object()}),
    )
    assert [info.name for info in store.revisions()] == [base.revision]


def test_full_disk_leaves_nothing_half(store, base, model):
    """The system refuses to let a file grow, as it does when the disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
        try:
            write(store, base, brighter(0.8), model)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    refused(store, 'could not be written: .*; nothing of it is left', limited)
    assert write(store, base, brighter(0.8), model).parent == base.revision


def test_disk_that_fills_at_any_write(store, base, model, monkeypatch):
    """No instant at which a failing disk leaves half a revision."""
    real = os.fsync
    failed = 0
    for k in range(30):
        calls = []

        def fsync(fd, k=k, calls=calls):
            calls.append(fd)
            if len(calls) > k:
                raise OSError(errno.ENOSPC, 'No space left on device')
            return real(fd)

        monkeypatch.setattr(os, 'fsync', fsync)
        try:
            written = write(store, base, brighter(0.8), model)
        except AdaptationError:
            failed += 1
            monkeypatch.setattr(os, 'fsync', real)
            assert hidden(store.folder) == []
            assert all(item.defect == '' for item in store.revisions(verify=True))
            continue
        break
    assert failed > 5
    assert load_bundle(written.path).digest == written.digest


def test_damaged_file_of_the_parent_is_not_taken_over(store, base, model):
    path = base.path / 'model.data'
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(AdaptationError, match='changed or damaged since it was written'):
        write(store, base, brighter(0.8), model)
    assert hidden(store.folder) == []
    # from the model itself it is made anew
    assert write(store, model, brighter(0.8), model).external is not None
    assert all(item.defect == '' for item in store.revisions(verify=True))


def test_without_the_package_onnx(store, model, monkeypatch):
    monkeypatch.setitem(sys.modules, 'monother_ros.networks.external_data', None)
    with pytest.raises(AdaptationError, match="pip install 'monother_ros\\[train\\]'"):
        store.write_base(model)


def test_revision_of_another_store(store, base, model, tmp_path):
    with RevisionStore(tmp_path / 'other') as other:
        with pytest.raises(AdaptationError, match='give the model itself'):
            other.write(
                base,
                brighter(0.8),
                weights=None,
                metrics={},
                training={},
                check=expected(model, brighter(0.8)),
            )
        assert visible(other.folder) == []


def test_own_weights_are_not_kept_without_being_given(store, base, model):
    revision = write(store, base, brighter(0.8), model, weights=None)
    assert 'weights.safetensors' not in revision.files
    assert dataclasses.asdict(revision)['external'] == {
        'data': 'model.data',
        'replaced': 'initialisers.safetensors',
    }


def test_disk_that_gives_back_other_bytes(store, base, model, monkeypatch):
    """A revision that cannot be read back as it was written does not stay."""
    from monother_ros.core import bundle as bundles

    real = bundles.load_bundle

    def damaging(path, **options):
        target = path / 'initialisers.safetensors'
        if target.exists():
            target.write_bytes(target.read_bytes()[:-1] + b'\7')
        return real(path, **options)

    def action():
        with monkeypatch.context() as patch:
            patch.setattr(bundles, 'load_bundle', damaging)
            write(store, base, brighter(0.8), model)

    refused(store, 'was refused: .* changed or damaged', action)
    assert [info.name for info in store.revisions()] == [base.revision]
