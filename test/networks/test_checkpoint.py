# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('safetensors')

from monother_ros.core.errors import BundleError  # noqa: E402
from monother_ros.networks.checkpoint import (  # noqa: E402
    CheckpointReport,
    load_branch,
    load_depth_anything,
    load_network,
    load_state,
    read_checkpoint,
    write_checkpoint,
)
from monother_ros.networks.monother import MonoTherConfig, MonoTherNetwork  # noqa: E402
from monother_ros.networks.names import official_state  # noqa: E402

CONFIG = MonoTherConfig(
    embed=64, blocks=4, heads=1, features=16, projections=(8, 8, 16, 16), confidence_width=4
)
MISSING = 'core.core.pretrained.blocks.1.attn.qkv.weight'


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(14)
    return MonoTherNetwork(CONFIG).eval()


@pytest.fixture
def state(network):
    return {k: v.clone() for k, v in official_state(network).items()}


def authors_file(path, state, prefix=''):
    """A file in the layout of the authors."""
    named = {prefix + name: value for name, value in state.items()}
    torch.save({'model': named, 'optimizer': None, 'epoch': 4}, path)
    return path


def same(module, other):
    a, b = module.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_the_authors_layout(tmp_path, network, state, prefix):
    read = read_checkpoint(authors_file(tmp_path / 'a.pt', state, prefix))
    assert set(read) == set(state)
    got, report = load_network(read)
    assert report == CheckpointReport()
    assert report.complete
    assert report.text() == 'all entries fit'
    assert got.config == CONFIG
    assert same(got, network)
    assert not got.training


@pytest.mark.parametrize('kind', ['bare', 'old', 'safetensors', 'own'])
def test_other_layouts(tmp_path, network, state, kind):
    from safetensors.torch import save_file

    path = tmp_path / ('a.pt' if kind in ('bare', 'old') else 'a.safetensors')
    if kind == 'own':
        write_checkpoint(network, path, {'note': 'here'})
        assert read_checkpoint(path).metadata['note'] == 'here'
    elif kind == 'safetensors':
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == 'bare')
    assert same(load_network(read_checkpoint(path))[0], network)


@pytest.mark.parametrize('branch', ['thermal', 'rgb'])
def test_one_branch(tmp_path, network, state, branch):
    read = read_checkpoint(authors_file(tmp_path / 'a.pt', state))
    got, report = load_branch(read, branch)
    assert report == CheckpointReport()
    assert same(got, getattr(network, branch))
    assert not got.training


def test_a_branch_alone_is_enough(tmp_path, network, state):
    part = {k: v for k, v in state.items() if 'extra' not in k and 'conf_net' not in k}
    read = read_checkpoint(authors_file(tmp_path / 'a.pt', part))
    assert same(load_branch(read, 'thermal')[0], network.thermal)
    with pytest.raises(BundleError, match=r'no rgb branch.*holds entries of: thermal'):
        load_branch(read, 'rgb')
    with pytest.raises(BundleError, match='dual network completely'):
        load_network(read)


def test_weights_do_not_depend_on_the_file(tmp_path, network, state):
    """The file is mapped while reading; the network keeps none of it."""
    path = authors_file(tmp_path / 'a.pt', state)
    read = read_checkpoint(path)
    got, _ = load_branch(read, 'thermal')
    mapped = {value.untyped_storage().data_ptr() for value in read.values()}
    assert not any(v.untyped_storage().data_ptr() in mapped for v in got.state_dict().values())
    own = sum(v.nbytes for v in got.state_dict().values())
    assert own < 0.55 * sum(v.nbytes for k, v in read.items() if 'conf_net' not in k)
    with path.open('r+b') as handle:
        handle.write(bytes(path.stat().st_size))
    assert same(got, network.thermal)


def test_missing_entries_are_named_and_refused(state):
    del state[MISSING], state['conv2.bias']
    with pytest.raises(BundleError, match='2 missing') as err:
        load_branch(state, 'thermal')
    assert MISSING in str(err.value)
    assert 'conv2.bias' in str(err.value)
    assert load_branch(state, 'rgb')[1].complete


def test_a_file_without_its_last_blocks_is_no_smaller_network():
    with torch.device('meta'):
        full = official_state(MonoTherNetwork(MonoTherConfig.preset('vits')))
    cut = {k: v for k, v in full.items() if '.blocks.11.' not in k}
    with pytest.raises(BundleError, match=r'14 missing: core\.core\.pretrained\.blocks\.11\.'):
        load_branch(cut, 'thermal')


def test_shapes_that_differ_are_named_with_both(state):
    state[MISSING] = torch.zeros(5, 64)
    with pytest.raises(BundleError, match=f'1 of another shape: {MISSING} 5x64 for 192x64'):
        load_branch(state, 'thermal')


def test_unexpected_entries_are_told_but_accepted(state, network):
    state['core.core.pretrained.register_tokens'] = torch.zeros(1, 4, 64)
    got, report = load_branch(state, 'thermal')
    assert report.unexpected == ('core.core.pretrained.register_tokens',)
    assert report.complete
    assert 'register_tokens' in report.text()
    assert same(got, network.thermal)
    assert load_network(state)[1].unexpected == report.unexpected


def test_values_that_are_not_finite_are_refused(state):
    state['conv2.bias'][3] = float('nan')
    with pytest.raises(BundleError, match=r'conv2\.bias is not finite'):
        load_branch(state, 'thermal')


def test_half_precision_weights_become_float(state):
    got, _ = load_branch({k: v.half() if v.is_floating_point() else v for k, v in state.items()},
                         'thermal')  # fmt: skip
    assert {p.dtype for p in got.parameters()} == {torch.float32}


def test_the_configuration_travels_with_our_own_files(tmp_path):
    config = replace(CONFIG, embed=32, heads=2, near=0.5, far=120.0)
    net = MonoTherNetwork(config)
    read = read_checkpoint(write_checkpoint(net, tmp_path / 'a.safetensors'))
    assert read.config == config
    assert load_branch(read, 'thermal')[0].config == config
    with pytest.raises(BundleError, match='give the number of heads'):
        load_branch(dict(read), 'thermal')
    assert load_branch(dict(read), 'thermal', config)[0].head.far == 120.0


def test_writing_leaves_the_old_file_when_it_fails(tmp_path, network, monkeypatch):
    import safetensors.torch

    path = write_checkpoint(network, tmp_path / 'a.safetensors')
    before = path.read_bytes()

    def fail(_state, name, _metadata):
        Path(name).write_bytes(b'half')
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(safetensors.torch, 'save_file', fail)
    with pytest.raises(OSError, match='No space'):
        write_checkpoint(network, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


class Hostile:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (os.mkdir, (self.path,))


@pytest.mark.parametrize('kind', ['zip', 'plain'])
def test_code_in_a_file_is_refused_and_not_run(tmp_path, state, kind):
    trap, path = tmp_path / 'ran', tmp_path / 'a.pt'
    content = {'model': {**state, 'x': Hostile(trap)}}
    if kind == 'zip':
        torch.save(content, path)
        with pytest.raises(BundleError, match='refused: besides tensors it holds'):
            read_checkpoint(path)
    else:
        path.write_bytes(pickle.dumps({'model': {'x': Hostile(trap)}}))
        with pytest.raises(BundleError, match='no checkpoint'):
            read_checkpoint(path)
    assert not trap.exists()


def test_a_truncated_file_is_refused(tmp_path, network, state):
    for path in (
        authors_file(tmp_path / 'a.pt', state),
        write_checkpoint(network, tmp_path / 'a.safetensors'),
    ):
        whole = path.read_bytes()
        for keep in (len(whole) - 1000, len(whole) // 2, 100, 0):
            path.write_bytes(whole[:keep])
            with pytest.raises(BundleError, match='no checkpoint or is damaged'):
                read_checkpoint(path)


@pytest.mark.parametrize(
    'content', [b'\x89PNG\r\n\x1a\n' + bytes(100), b'hello, this is text', bytes(50)]
)
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / 'a.pt'
    path.write_bytes(content)
    with pytest.raises(BundleError, match='no checkpoint'):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ('content', 'text'),
    [([1, 2], 'holds a list'), ({}, 'holds no weights'), ({'model': {'a': 3}}, "entry 'a'")],
)
def test_files_without_a_state_dict_are_refused(tmp_path, content, text):
    torch.save(content, tmp_path / 'a.pt')
    with pytest.raises(BundleError, match=text):
        read_checkpoint(tmp_path / 'a.pt')


def test_a_missing_file_and_another_network_are_refused(tmp_path):
    with pytest.raises(BundleError, match='no checkpoint at'):
        read_checkpoint(tmp_path / 'none.pt')
    with pytest.raises(BundleError, match='no checkpoint at'):
        read_checkpoint(tmp_path)
    torch.save(torch.nn.Linear(3, 3).state_dict(), tmp_path / 'a.pt')
    with pytest.raises(BundleError, match='None of its 2 entries belongs to the dual network'):
        load_branch(read_checkpoint(tmp_path / 'a.pt'), 'thermal')
    with pytest.raises(BundleError, match='must be one of thermal, rgb'):
        load_branch({}, 'nir')


def depth_anything(network):
    state = {'pretrained.' + k: v for k, v in network.thermal.encoder.state_dict().items()}
    state.update({'depth_head.' + k: v for k, v in network.thermal.decoder.state_dict().items()})
    return {k: v + 1.0 for k, v in state.items()}


def test_depth_anything_starts_both_branches_alike(tmp_path, network):
    torch.save(depth_anything(network), tmp_path / 'da.pth')
    net = MonoTherNetwork(CONFIG)
    assert not same(net.thermal.head, net.rgb.head)
    head = net.thermal.head.conv2.weight.detach().clone()
    report = load_depth_anything(net, tmp_path / 'da.pth')
    assert report.complete
    assert same(net.thermal, net.rgb)
    assert torch.equal(net.thermal.head.conv2.weight, head)
    torch.testing.assert_close(
        net.rgb.encoder.pos_embed, network.thermal.encoder.pos_embed + 1.0, rtol=0, atol=0
    )
    with pytest.raises(BundleError, match='looks like relative weights of Depth Anything'):
        load_branch(read_checkpoint(tmp_path / 'da.pth'), 'thermal')


def test_an_incomplete_depth_anything_file_changes_nothing(tmp_path, network):
    state = depth_anything(network)
    del state['depth_head.projects.2.bias']
    torch.save(state, tmp_path / 'da.pth')
    net = MonoTherNetwork(CONFIG)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    with pytest.raises(BundleError, match=r'1 missing: depth_head\.projects\.2\.bias'):
        load_depth_anything(net, tmp_path / 'da.pth')
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


def test_loading_what_fits_into_a_network_that_exists(network, state):
    del state['conv2.bias']
    state['conv2.weight'] = torch.zeros(3, 3, 1, 1)
    net = MonoTherNetwork(CONFIG)
    kept = net.thermal.head.conv2.weight.detach().clone()
    report = load_state(net, state)
    assert report.missing == ('conv2.bias',)
    assert report.mis_shaped == ('conv2.weight 3x3x1x1 for 16x16x1x1',)
    assert not report.complete
    assert torch.equal(net.thermal.head.conv2.weight, kept)
    assert same(net.rgb, network.rgb)


def test_a_long_report_is_cut(network):
    report = load_state(MonoTherNetwork(CONFIG), {})
    assert len(report.missing) > 400
    assert report.text(3).count(',') == 2
    assert report.text(3).endswith(f'and {len(report.missing) - 3} more')
