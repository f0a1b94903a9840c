# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Confidence networks on disk: read back as written, refused when damaged."""

from __future__ import annotations

import json

import pytest
import torch

from monother_ros.core.errors import BundleError
from monother_ros.networks.confidence import ConfidenceNetwork
from monother_ros.networks.confidence_file import (
    MANIFEST,
    WEIGHTS,
    find_confidence,
    load_confidence,
    read_manifest,
    write_confidence,
)


@pytest.fixture
def written(tmp_path):
    torch.manual_seed(0)
    network = ConfidenceNetwork(4)
    path = write_confidence(
        network, tmp_path / 'small', training={'steps': 3}, metrics={'ause_ratio': 0.5}
    )
    return network, path


def test_read_back_as_written(written):
    network, path = written
    manifest = read_manifest(path)
    assert manifest['width'] == 4
    assert manifest['features'] == 'structure'
    assert manifest['training'] == {'steps': 3}
    read = load_confidence(path)
    assert not read.training
    x = torch.rand(1, 8, 32, 48)
    with torch.inference_mode():
        torch.testing.assert_close(read(x), network.eval()(x))
    assert find_confidence(str(path)) == path


def test_written_again_replaces(written):
    _, path = written
    write_confidence(ConfidenceNetwork(2), path, training={}, metrics={})
    assert read_manifest(path)['width'] == 2
    assert sorted(p.name for p in path.iterdir()) == [MANIFEST, WEIGHTS]


def test_damaged_weights_are_refused(written):
    _, path = written
    data = bytearray((path / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (path / WEIGHTS).write_bytes(bytes(data))
    with pytest.raises(BundleError, match='sha256'):
        load_confidence(path)
    (path / WEIGHTS).unlink()
    with pytest.raises(BundleError, match='cannot be read'):
        load_confidence(path)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'format': 2}, 'format 2'),
        ({'width': 0}, 'width'),
        ({'width': 5}, 'width 5'),
        ({'features': 'colour'}, 'colour'),
        ({'sha256': None}, 'sha256'),
    ],
)
def test_manifests_that_do_not_fit_are_refused(written, change, message):
    _, path = written
    manifest = json.loads((path / MANIFEST).read_text())
    (path / MANIFEST).write_text(json.dumps({**manifest, **change}))
    with pytest.raises(BundleError, match=message):
        load_confidence(path)


def test_no_manifest_at_all(tmp_path):
    with pytest.raises(BundleError, match='lite-confidence'):
        load_confidence(tmp_path)
    with pytest.raises(BundleError, match='no-such-network'):
        load_confidence('no-such-network')
    (tmp_path / MANIFEST).write_text('{')
    with pytest.raises(BundleError, match='cannot be read'):
        read_manifest(tmp_path)


def test_unknown_features_are_not_written(tmp_path):
    with pytest.raises(BundleError, match='colour'):
        write_confidence(
            ConfidenceNetwork(2), tmp_path / 'x', training={}, metrics={}, features='colour'
        )
    assert not (tmp_path / 'x').exists()
