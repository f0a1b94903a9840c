# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two real processes over gloo, started by torchrun, against one process."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

torch = pytest.importorskip('torch', reason='torch is not installed')
pytest.importorskip('safetensors', reason='safetensors is not installed')
if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
    pytest.skip('torch has no gloo', allow_module_level=True)

import process_checks  # noqa: E402
from tiny_pairs import TinyPairs, vivid_recipe, write_vivid  # noqa: E402

from monother_ros.cli.main import main  # noqa: E402
from monother_ros.core.errors import SettingsError  # noqa: E402
from monother_ros.learning.distributed import Group, pick_device, processes  # noqa: E402
from monother_ros.learning.training_state import (  # noqa: E402
    LATEST,
    NETWORK,
    STATE,
    read_tensors,
)

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
STEPS = 3


def surroundings():
    """Environment of a process that finds this checkout and takes one core."""
    path = os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])
    quiet = {'OMP_NUM_THREADS': '1', 'OMP_WAIT_POLICY': 'PASSIVE'}
    return {**os.environ, **quiet, 'PYTHONPATH': path}


def torchrun(*words):
    """Start two processes as a user does; returns the finished launcher."""
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone']
    return subprocess.run(
        [*command, '--nproc_per_node', '2', *map(str, words)],
        env=surroundings(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def two_processes(*words):
    """Start two processes with the variables that torchrun sets, without its own start."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    common = {'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': port, 'WORLD_SIZE': '2'}
    started = [
        subprocess.Popen(
            [sys.executable, *map(str, words)],
            env={**surroundings(), **common, 'RANK': rank, 'LOCAL_RANK': rank},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ('0', '1')
    ]
    errors = [process.communicate(timeout=120)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], errors


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope='module')
def checked(tmp_path_factory):
    folder = tmp_path_factory.mktemp('checks')
    two_processes(HERE / 'process_checks.py', folder, STEPS)
    return folder, torch.load(folder / 'found.pt', weights_only=True)


def difference(a, b, start=''):
    """Norm of the difference of all weights whose names begin so, relative to their norm."""
    keys = [k for k in a if k.startswith(start) and a[k].is_floating_point()]
    apart = sum(float((a[k].double() - b[k].double()).square().sum()) for k in keys)
    return (apart / sum(float(a[k].double().square().sum()) for k in keys)) ** 0.5


def test_sum_carries_the_gradient_of_the_global_value(checked):
    # (2 * 1 + 3 * 10)^2 differentiated by the first process's number
    assert checked[1]['sum_gradient'].item() == pytest.approx(2 * 32 * 2)
    assert checked[1]['means'] == [0.5, 5.0]


def test_batch_norm_over_processes_is_that_of_all_samples(checked):
    found = checked[1]
    assert found['kind'] == 'SharedBatchNorm'
    module = process_checks.batch_norm()
    x = process_checks.values().requires_grad_()
    y = module(x)
    process_checks.norm_loss(y).backward()
    torch.testing.assert_close(found['outputs'], y.detach(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found['input_gradient'], x.grad, rtol=1e-4, atol=1e-4)
    for ours, parameter in zip(found['gradients'], module.parameters(), strict=True):
        torch.testing.assert_close(ours, parameter.grad, rtol=1e-5, atol=1e-4)
    for name, value in module.state_dict().items():
        torch.testing.assert_close(found['state'][name], value, rtol=1e-5, atol=1e-5)


def test_two_processes_give_the_weights_of_one(checked, tmp_path, monkeypatch):
    """In double precision, so that nothing but an error in the sums could tell them apart."""
    monkeypatch.setattr(torch.Tensor, 'float', torch.Tensor.double)
    monkeypatch.setattr(process_checks.PairBatch, 'to', process_checks.PairBatch.to)
    process_checks.in_double()
    process_checks.double_run(tmp_path, STEPS)
    one, two = (read_tensors(p / LATEST / NETWORK) for p in (tmp_path, checked[0] / 'run'))
    assert one['core.core.pretrained.norm.weight'].dtype == torch.float64
    assert difference(one, two) < 1e-10
    about = [json.loads((p / LATEST / STATE).read_text()) for p in (tmp_path, checked[0] / 'run')]
    for key, values in about[0]['training'].items():
        assert about[1]['training'][key] == pytest.approx(values, rel=1e-7), key
    for key, values in about[0]['watched'].items():
        assert about[1]['watched'][key] == pytest.approx(values, rel=1e-7), key


def test_the_command_gives_the_same_on_two_processes(tmp_path):
    """
    In single precision the depth branches agree to rounding.

    The confidence network is looked at by its losses only: its convolutions have biases before a
    batch norm, whose gradients are rounding noise that AdamW makes as large as any other.
    """
    write_vivid(tmp_path / 'vivid', TinyPairs(10))
    recipe = tmp_path / 'recipe.yaml'
    recipe.write_text(yaml.safe_dump(vivid_recipe(tmp_path / 'vivid')))
    words = ['train', str(recipe), '--out']
    assert main([*words, str(tmp_path / 'one')]) == 0
    done = torchrun('-m', 'monother_ros.cli.main', *words, tmp_path / 'two')
    assert done.returncode == 0, done.stderr
    assert 'monother convert' in done.stdout + done.stderr
    one, two = (read_tensors(tmp_path / k / LATEST / NETWORK) for k in ('one', 'two'))
    for start in ('core.', 'conv2', 'seed_', 'projectors', 'attractors', 'conditional'):
        assert difference(one, two, start) < 1e-5, start
    about = [json.loads((tmp_path / k / LATEST / STATE).read_text()) for k in ('one', 'two')]
    for name in ('silog_thermal', 'silog_rgb', 'nll', 'total'):
        expected = about[0]['training'][name]
        assert about[1]['training'][name] == pytest.approx(expected, rel=2e-3), name
    assert about[1]['training']['total'][0] == pytest.approx(expected[0], rel=1e-5)
    # only the first process writes
    assert len(list((tmp_path / 'two' / 'log').iterdir())) == 1
    assert {p.name for p in (tmp_path / 'two').iterdir()} == {
        'recipe.yaml', 'latest', 'best', 'curves.png', 'log',
    }  # fmt: skip


def test_a_failing_process_ends_the_run_with_a_message(tmp_path):
    write_vivid(tmp_path / 'vivid', TinyPairs(6))
    recipe = vivid_recipe(tmp_path / 'vivid')
    # one batch: each process reads two of its four samples
    recipe['training'] |= {'batch': 4, 'epochs': 1}
    damaged = sorted((tmp_path / 'vivid' / 'day' / 'RGB').iterdir())
    file = tmp_path / 'recipe.yaml'
    file.write_text(yaml.safe_dump(recipe))
    damaged[3].write_bytes(b'no image')
    done = torchrun('-m', 'monother_ros.cli.main', 'train', file, '--out', tmp_path / 'run')
    assert done.returncode != 0
    assert 'of 2 failed, the run ends' in done.stderr
    assert damaged[3].name in done.stderr
    assert not (tmp_path / 'run' / LATEST).exists()


def test_without_torchrun_there_is_one_process(monkeypatch):
    monkeypatch.delenv('WORLD_SIZE', raising=False)
    with processes('cpu') as group:
        assert group == Group(torch.device('cpu'))
        assert group.first
        assert group.gather('x') == ['x']
        assert group.means([2.0]) == [2.0]


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert pick_device('auto').type == 'cpu'
    with pytest.raises(SettingsError, match='no GPU'):
        pick_device('cuda')
