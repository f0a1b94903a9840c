# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from bundles import make_bundle

from monother_ros.core.bundle import (
    External,
    Normalisation,
    TensorSpec,
    load_bundle,
    write_bundle,
)
from monother_ros.core.errors import BundleError
from monother_ros.core.initialisers import (
    DATA,
    INITIALISERS,
    current_values,
    replaced_values,
)
from monother_ros.core.tensor_file import write_tensors

OLD = {'a': np.arange(6, dtype=np.float32).reshape(2, 3), 'b': np.ones(4, np.float16)}
NEW = {'b': np.full(4, 2, np.float16)}


def write(path, new=None, external=None, resize='area'):
    return write_bundle(
        path,
        model=b'a graph',
        name='m',
        revision='r2',
        parent='r1',
        inputs=[TensorSpec('thermal', (1, 1, 8, 16))],
        normalisation=Normalisation('percentile', 2, 98, resize=resize),
        depth_range=(0.5, 80.0),
        extra_files={
            DATA: lambda target: write_tensors(target, OLD),
            INITIALISERS: lambda target: write_tensors(target, NEW if new is None else new),
        },
        external=external or External(DATA, INITIALISERS),
    )


def edit(folder, change, name='model.json'):
    data = json.loads((folder / name).read_text())
    change(data)
    (folder / name).write_text(json.dumps(data))


def replace_file(folder, name, content):
    """Other content with the right hash."""
    (folder / name).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    edit(folder, lambda data: data['files'].update({name: digest}))


def test_values_replace_those_of_the_graph(tmp_path):
    bundle = load_bundle(write(tmp_path / 'm').path)
    assert bundle.external == External('model.data', 'initialisers.safetensors')
    assert replaced_values(bundle).keys() == {'b'}
    values = current_values(bundle)
    np.testing.assert_array_equal(values['a'], OLD['a'])
    np.testing.assert_array_equal(values['b'], NEW['b'])


def test_no_replaced_values(tmp_path):
    bundle = write(tmp_path / 'm', external=External(DATA))
    assert bundle.external == External(DATA, None)
    assert replaced_values(bundle) == {}
    np.testing.assert_array_equal(current_values(bundle)['b'], OLD['b'])


def test_format_is_the_oldest_that_says_all(tmp_path):
    """Readers of formats 1 and 2 would run the graph without the new weights: they must refuse."""

    def written(bundle):
        return json.loads((bundle.path / 'model.json').read_text())

    assert written(write(tmp_path / 'a'))['format'] == 3
    assert written(write(tmp_path / 'b', resize='aligned'))['format'] == 3
    plain = written(make_bundle(tmp_path / 'c', 8, 8))
    assert plain['format'] == 1
    assert 'external' not in plain
    assert make_bundle(tmp_path / 'c', 8, 8).external is None


def test_digest_of_a_plain_bundle_is_what_it_always_was(tmp_path):
    """The shipped model's digest names revisions and cached engines."""
    from monother_ros.core.bundle import find_bundle

    bundle = load_bundle(find_bundle('lite'))
    data = json.loads((bundle.path / 'model.json').read_text())
    canonical = json.dumps(data, sort_keys=True, separators=(',', ':'))
    assert bundle.digest == hashlib.sha256(canonical.encode()).hexdigest()
    assert data['format'] == 1


@pytest.mark.parametrize(
    ('change', 'sentence'),
    [
        (lambda d: d['external'].update(data='gone'), 'names gone, which files does not list'),
        (lambda d: d['external'].update(replaced='gone'), 'names gone, which files does not'),
        (lambda d: d['external'].pop('data'), "the field 'data' is missing"),
        (lambda d: d.update(external='x'), "'external' must be a JSON object"),
    ],
)
def test_damaged_manifest_is_refused(tmp_path, change, sentence):
    folder = write(tmp_path / 'm').path
    edit(folder, change)
    with pytest.raises(BundleError, match=sentence):
        load_bundle(folder)


def test_missing_or_changed_files_are_refused(tmp_path):
    folder = write(tmp_path / 'm').path
    content = (folder / INITIALISERS).read_bytes()
    (folder / INITIALISERS).write_bytes(content[:-1] + b'\1')
    with pytest.raises(BundleError, match='it was changed or damaged'):
        load_bundle(folder)
    (folder / INITIALISERS).unlink()
    with pytest.raises(BundleError, match='is missing, though'):
        load_bundle(folder)


@pytest.mark.parametrize(
    ('new', 'sentence'),
    [
        ({'c': NEW['b']}, 'replaces c, which the network does not have'),
        ({'b': np.ones(5, np.float16)}, r'b \(\[5\] float16, in the network \[4\] float16\)'),
        ({'b': np.ones(4, np.float32)}, r'b \(\[4\] float32, in the network \[4\] float16\)'),
    ],
)
def test_values_of_another_network_are_refused(tmp_path, new, sentence):
    with pytest.raises(BundleError, match=sentence):
        write(tmp_path / 'm', new)


def test_damaged_weights_with_a_right_hash_are_refused(tmp_path):
    folder = write(tmp_path / 'm').path
    replace_file(folder, DATA, b'no tensors')
    with pytest.raises(BundleError, match=r'model\.data'):
        load_bundle(folder)


def test_plain_bundle_has_no_weights_beside_its_graph(tmp_path):
    with pytest.raises(BundleError, match='lie inside of its graph'):
        current_values(make_bundle(tmp_path / 'm', 8, 8))
