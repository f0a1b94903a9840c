# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The dual network's task: groups, schedule, frozen parts, order, checkpoints, validation."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

torch = pytest.importorskip('torch', reason='torch is not installed')
pytest.importorskip('safetensors', reason='safetensors is not installed')

from tiny_pairs import SHAPE, TINY, TinyPairs, tiny_task, vivid_recipe, write_vivid  # noqa: E402

from monother_ros.cli.main import main  # noqa: E402
from monother_ros.core.errors import BundleError, DatasetError, SettingsError  # noqa: E402
from monother_ros.evaluation.metrics import depth_metrics  # noqa: E402
from monother_ros.learning import trainer as trainer_module  # noqa: E402
from monother_ros.learning.datasets import PairSample  # noqa: E402
from monother_ros.learning.objective import VIVID_LABEL_FREE, LossWeights  # noqa: E402
from monother_ros.learning.parameter_groups import dual_group, freeze, one_cycle  # noqa: E402
from monother_ros.learning.tasks.drives import (  # noqa: E402
    DriveSettings,
    render_drives,
    spread,
)
from monother_ros.learning.tasks.dual import DualTask, pair_figures  # noqa: E402
from monother_ros.learning.tasks.dual_batches import DualSettings  # noqa: E402
from monother_ros.learning.tasks.opening import begin_with  # noqa: E402
from monother_ros.learning.trainer import RunSettings, Trainer  # noqa: E402
from monother_ros.learning.training_state import (  # noqa: E402
    AVERAGE,
    BEST,
    LATEST,
    NETWORK,
    read_tensors,
)
from monother_ros.networks.checkpoint import load_network, read_checkpoint  # noqa: E402
from monother_ros.networks.confidence import GATE, GradientGate  # noqa: E402
from monother_ros.networks.monother import MonoTherConfig, MonoTherNetwork  # noqa: E402
from monother_ros.networks.named_weights import fill  # noqa: E402
from monother_ros.networks.names import official_name, official_state  # noqa: E402

QUIET = RunSettings(tensorboard=False, log_every=1)
LABEL_FREE = {'losses': VIVID_LABEL_FREE, 'frozen': ('rgb', 'confidence')}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """One thread, and curves are drawn in one test only: that takes longer than tiny steps do."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setattr(trainer_module, 'write_curves', lambda *_args: None)
    yield
    torch.set_num_threads(before)


def trained(task, folder, steps, how=QUIET):
    trainer = Trainer(folder, task, how)
    trainer.train(steps, progress=False)
    return trainer


@pytest.mark.parametrize('variant', ['vitl', 'vits', 'vits_wide', 'vitb'])
def test_groups_and_frozen_parts_are_the_published_ones(shared, variant):
    path = shared('golden/monother/state_dict.json')
    facts = json.loads(path.read_text())['variants'][variant]
    with torch.device('meta'):
        network = MonoTherNetwork(MonoTherConfig.preset(variant))
    freeze(network, ('rgb', 'confidence'))
    parameters = {official_name(n): p for n, p in network.named_parameters()}
    expected = {e['name']: e for e in facts['entries'] if e['kind'] == 'parameter'}
    assert parameters.keys() == expected.keys()
    sums = {}
    for name, parameter in parameters.items():
        group = dual_group(name)
        assert group == expected[name]['lr_group'], name
        assert parameter.requires_grad != expected[name]['frozen_in_vivid_finetune'], name
        sums[group] = sums.get(group, 0) + parameter.numel()
    assert sums == facts['parameters_per_lr_group']
    count = sum(p.numel() for p in network.parameters() if p.requires_grad)
    assert count == facts['num_trainable_in_vivid_finetune']


def test_schedule_is_the_published_one(shared):
    stored = np.load(shared('golden/monother/losses.npz'))['schedule/lr_low_lr_high_beta1_beta2']
    task = tiny_task(TinyPairs(4), epochs=40, rate=8.5e-5, divisor=50)
    assert [g.name for g in task.groups()][-1] == 'rest'
    assert task.steps == len(stored) == 40
    for step, row in enumerate(stored):
        hyper = task.hyper(step)
        assert [h.rate for h in hyper] == pytest.approx([row[0]] * 4 + [row[1]], rel=1e-6)
        assert [h.beta1 for h in hyper] == pytest.approx([row[2]] * 5, rel=1e-6)
        assert [h.beta2 for h in hyper] == pytest.approx([row[3]] * 5, rel=1e-6)


@pytest.mark.parametrize(
    ('steps', 'up', 'div'), [(37, 0.7, 1.0), (50, 0.3, 10.0), (10, 0.25, 4.0)]
)
def test_schedule_is_that_of_torch(steps, up, div):
    optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], 1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 0.01, steps, pct_start=up, div_factor=div, final_div_factor=1e3
    )
    for step in range(steps):
        rate, beta1 = one_cycle(step, steps, 0.01, up=up, div_factor=div, final_div_factor=1e3)
        assert rate == pytest.approx(optimiser.param_groups[0]['lr'], rel=1e-9)
        assert beta1 == pytest.approx(optimiser.param_groups[0]['betas'][0], rel=1e-9)
        optimiser.step()
        if step < steps - 1:
            theirs.step()


def test_whole_step_is_the_published_one(shared, tmp_path):
    """Label-free recipe of the reference, from its inputs to the clipped step."""
    golden = shared('golden/monother')
    facts = json.loads((golden / 'train_step.json').read_text())['vivid_finetune']
    with np.load(golden / 'train_step.npz') as file:
        g = {k: file[k] for k in file if k.startswith('vivid_finetune/')}
    names = ('image', 'rgb_image', None, None, 'intrinsics', 'rgb_intrinsics', 'pose_t2rgb')
    arrays = [None if n is None else g[f'vivid_finetune/in/{n}'] for n in names]

    class Stored:
        def __len__(self):
            return 2

        def __getitem__(self, i):
            return PairSample(*(None if a is None else a[i] for a in arrays), f'stored {i}')

    settings = DualSettings(
        network='vits', size=(116, 164), batch=2, settings='reference', seed=0, **LABEL_FREE
    )
    network = MonoTherNetwork(settings.config())
    fill(network)
    task = DualTask(Stored(), settings, network)
    before = {n: p.detach().clone() for n, p in network.named_parameters()}
    trainer = Trainer(tmp_path, task, QUIET)
    trainer.module.train()
    assert network.confidence.training
    losses = trainer.advance(next(iter(trainer.batches(0, 1))))
    assert float(losses['total']) == pytest.approx(facts['total_loss'], rel=1e-4)
    assert float(losses['norm']) == pytest.approx(facts['grad_norm_before_clip'], rel=5e-4)
    same = sum(torch.equal(before[n], p) for n, p in network.named_parameters())
    assert same == facts['unchanged_parameters_after_step']
    key = 'conf_net.inc.double_conv.1.running_mean'
    found = official_state(network)[key].numpy()
    np.testing.assert_allclose(found, g[f'vivid_finetune/after_step/{key}'], atol=1e-5)


def test_frozen_parts_stay_and_so_do_their_statistics(tmp_path):
    task = tiny_task(**LABEL_FREE)
    first = {k: v.clone() for k, v in task.network.state_dict().items()}
    trainer = trained(task, tmp_path, 2)
    task.module.train()
    assert not task.network.confidence.training
    assert task.network.thermal.training
    changed = {k for k, v in trainer.network.state_dict().items() if not torch.equal(v, first[k])}
    assert changed
    assert all(name.startswith('thermal.') for name in changed)
    assert trainer.training.keys() >= {'consistency', 'smooth_depth'}
    assert 'nll' not in trainer.training


def test_reference_lets_statistics_of_the_frozen_confidence_drift(tmp_path):
    task = tiny_task(settings='reference', **LABEL_FREE)
    name = 'inc.double_conv.1.running_mean'
    before = task.network.confidence.state_dict()[name].clone()
    trained(task, tmp_path, 1)
    assert not torch.equal(before, task.network.confidence.state_dict()[name])
    switched = tiny_task(settings='reference', frozen_confidence='evaluation', **LABEL_FREE)
    switched.module.train()
    assert not switched.network.confidence.training


def test_order_of_epochs():
    def epochs(task):
        per = task.batches.per_epoch
        return [
            [i for step in range(e * per, (e + 1) * per) for i in task.batches.indices(step)]
            for e in range(2)
        ]

    task = tiny_task(TinyPairs(14))
    assert task.steps == 2 * 3
    first, second = epochs(task)
    assert first != second
    assert len(set(first)) == len(set(second)) == 12
    assert len(set(epochs(tiny_task(TinyPairs(14), settings='reference'))[0])) == 12
    fixed, again = epochs(tiny_task(TinyPairs(14), settings='reference'))
    assert fixed == again == first


def test_parts_of_processes_are_the_whole_batch():
    batches = tiny_task(augment='vivid').batches
    whole = batches.batch(1)
    parts = [batches.batch(1, rank, 4) for rank in range(4)]
    for k, value in enumerate(whole):
        assert torch.equal(torch.cat([part[k] for part in parts]), value)
    assert not torch.equal(whole.rgb, tiny_task(augment='none').batches.batch(1).rgb)


def test_resumed_run_equals_uninterrupted(tmp_path):
    def task():
        return tiny_task(augment='vivid', validation=TinyPairs(2), average=0.9)

    whole = trained(task(), tmp_path / 'whole', None)
    for until in (2, 4, None):
        part = trained(task(), tmp_path / 'cut', until)
    assert part.step == 6
    for name in (NETWORK, AVERAGE, 'optimiser.safetensors'):
        for kind in (LATEST,) if name.startswith('opt') else (LATEST, BEST):
            a, b = (read_tensors(tmp_path / k / kind / name) for k in ('whole', 'cut'))
            assert a.keys() == b.keys()
            assert all(torch.equal(a[k], b[k]) for k in a), name
    assert whole.training == part.training
    assert whole.watched == part.watched
    assert whole.watched['step'] == [3, 6]
    with pytest.raises(SettingsError, match='other settings'):
        Trainer(tmp_path / 'cut', tiny_task(rate=2e-3, average=0.9), QUIET)
    with pytest.raises(SettingsError, match='other samples'):
        Trainer(tmp_path / 'cut', tiny_task(TinyPairs(13), augment='vivid', average=0.9), QUIET)


def test_result_is_read_as_any_checkpoint(tmp_path):
    trainer = trained(tiny_task(), tmp_path, 1)
    network, report = load_network(read_checkpoint(tmp_path / LATEST / NETWORK))
    assert report.complete
    assert not report.unexpected
    assert network.config == trainer.network.config
    for name, value in trainer.network.state_dict().items():
        assert torch.equal(value, network.state_dict()[name]), name


def test_training_lowers_the_loss(tmp_path):
    trainer = trained(tiny_task(epochs=6, rate=5e-3, divisor=1), tmp_path, None)
    values = trainer.training['silog_thermal']
    assert np.mean(values[-5:]) < 0.5 * np.mean(values[:5])
    assert trainer.skipped == 0


def test_validation_is_that_of_the_paper():
    pairs = TinyPairs(2, 60, 90)
    task = tiny_task(validation=pairs)
    network = task.network.eval()
    rows = task.measure(network, 0, 0, 1)
    sample = pairs[1]
    size = (56, 84)
    from monother_ros.networks.monother import prepare_thermal

    with torch.inference_mode():
        image = prepare_thermal(torch.from_numpy(sample.thermal[None]), size)
        depth = network.thermal(image).depth
        depth = torch.nn.functional.interpolate(
            depth, (60, 90), mode='bilinear', align_corners=True
        )
    expected = depth_metrics(depth[0, 0].numpy(), sample.thermal_depth[0])
    for key in ('abs_rel', 'd1', 'rmse'):
        assert rows[1][key] == pytest.approx(expected[key], rel=1e-5)
    assert rows[1]['rgb_abs_rel'] != rows[1]['abs_rel']
    assert rows == [r for k in range(2) for r in task.measure(network, 0, k, 2)]
    assert pair_figures(network, TinyPairs(1, labels=False), 0) == {}


def test_best_is_watched_every_so_many_epochs():
    task = tiny_task(validation=TinyPairs(2), epochs=7, watch_epochs=5)
    assert [s for s in range(1, task.steps + 1) if task.watch_at(s)] == [5 * 3]
    assert not any(tiny_task(epochs=7).watch_at(s) for s in range(1, 22))


def test_gate_limits_the_gradient_of_the_global_loss():
    task = tiny_task()
    task.scaled(2 * 65536.0)
    gates = [m for m in task.network.modules() if isinstance(m, GradientGate)]
    assert [gate.limit for gate in gates] == [GATE * 2 * 65536]


def test_half_precision_keeps_losses_and_gate_in_scale(tmp_path):
    exact = trained(tiny_task(), tmp_path / 'fp32', 1)
    for precision in ('bf16', 'fp16'):
        other = trained(tiny_task(), tmp_path / precision, 1, replace(QUIET, precision=precision))
        for name in ('total', 'nll', 'silog_thermal'):
            assert other.training[name] == pytest.approx(exact.training[name], rel=0.05)
        assert other.training['total'] != exact.training['total']
    gradients = [exact.names['confidence.outc_unc.0.conv.weight'].grad]
    gradients.append(other.names['confidence.outc_unc.0.conv.weight'].grad)
    # clipped to norm 1 together with all others, so of one scale
    assert torch.nn.functional.cosine_similarity(*(g.flatten() for g in gradients), 0) > 0.9
    ratio = float(gradients[1].norm() / gradients[0].norm())
    assert 0.8 < ratio < 1.25


def test_empty_mask_does_not_end_training(tmp_path):
    task = tiny_task(switches={'least_confidence': 2.0})
    trainer = trained(task, tmp_path, 2)
    assert trainer.training['consistency'] == [0.0, 0.0]
    assert trainer.skipped == 0
    reference = tiny_task(settings='reference', switches={'least_confidence': 2.0})
    assert trained(reference, tmp_path / 'reference', 1).skipped == 1


def test_what_cannot_be_trained_is_refused():
    with pytest.raises(SettingsError, match='3 samples do not fill one batch of 4'):
        tiny_task(TinyPairs(3))
    with pytest.raises(SettingsError, match="'lidar' cannot be frozen"):
        tiny_task(frozen=('lidar',))
    with pytest.raises(SettingsError, match=r'training\.network'):
        tiny_task(network='vitx')
    with pytest.raises(SettingsError, match=r'switches\.nearest is not known'):
        tiny_task(switches={'nearest': 1})
    with pytest.raises(SettingsError, match='at least 1'):
        replace(TINY, epochs=0)
    with pytest.raises(SettingsError, match='needs thermal depth labels'):
        task = tiny_task(TinyPairs(labels=False), losses=LossWeights(silog_thermal=1.0))
        task.module(task.batches.batch(0))


def test_first_weights(tmp_path):
    torch.manual_seed(5)
    other = MonoTherNetwork(MonoTherConfig.from_dict(SHAPE))
    state = official_state(other)
    torch.save({'model': state, 'optimizer': None, 'epoch': 3}, tmp_path / 'official.pt')
    network = tiny_task().network
    digest = begin_with(network, str(tmp_path / 'official.pt'))
    assert len(digest) == 64
    assert all(torch.equal(v, network.state_dict()[k]) for k, v in other.state_dict().items())

    thermal = {k: v for k, v in state.items() if '_extra' not in k and 'conf_net' not in k}
    torch.save(thermal, tmp_path / 'thermal.pt')
    network = tiny_task().network
    rgb = network.rgb.encoder.cls_token.detach().clone()
    begin_with(network, str(tmp_path / 'thermal.pt'))
    assert torch.equal(network.thermal.encoder.cls_token, other.thermal.encoder.cls_token)
    assert torch.equal(network.rgb.encoder.cls_token, rgb)

    lacking = {k: v for k, v in thermal.items() if k != 'conv2.weight'}
    torch.save(lacking, tmp_path / 'lacking.pt')
    with pytest.raises(BundleError, match=r'conv2\.weight'):
        begin_with(tiny_task().network, str(tmp_path / 'lacking.pt'))

    encoder, decoder = 'core.core.pretrained.', 'core.core.depth_head.'
    anything = {
        ('pretrained.' if k.startswith(encoder) else 'depth_head.') + k.split('.', 3)[3]: v
        for k, v in thermal.items()
        if k.startswith((encoder, decoder))
    }
    torch.save(anything, tmp_path / 'anything.pth')
    network = tiny_task().network
    begin_with(network, str(tmp_path / 'anything.pth'))
    for branch in (network.thermal, network.rgb):
        assert torch.equal(branch.encoder.cls_token, other.thermal.encoder.cls_token)
    assert torch.equal(network.rgb.head.conv2.weight, network.thermal.head.conv2.weight)


def test_the_command_trains_resumes_and_says_how_to_convert(tmp_path, capsys):
    write_vivid(tmp_path / 'vivid', TinyPairs(10))
    recipe = tmp_path / 'mine.yaml'
    recipe.write_text(yaml.safe_dump(vivid_recipe(tmp_path / 'elsewhere')))
    words = ['train', str(recipe), '--out', str(tmp_path / 'run')]
    assert main(words) == 1
    assert 'elsewhere' in capsys.readouterr().err
    words += ['--data', str(tmp_path / 'vivid'), '--set', 'training.epochs=1', 'training.clip=0.1']
    assert main([*words, '--until', '1']) == 0
    assert main(words) == 0
    shown = capsys.readouterr()
    text = shown.out + shown.err
    assert 'now at step 1' in text
    assert (
        f'monother convert {tmp_path}/run/latest/network.safetensors --to BUNDLE --size 56x84'
        in text
    )
    assert 'best: abs_rel' in text
    written = yaml.safe_load((tmp_path / 'run' / 'recipe.yaml').read_text())
    assert written['training']['clip'] == 0.1
    assert written['training']['eps'] == 1e-8
    assert written['data']['training']['root'] == str(tmp_path / 'vivid')
    # what was written repeats the run
    other = tmp_path / 'run' / 'recipe.yaml'
    assert main(['train', str(other), '--out', str(tmp_path / 'again')]) == 0
    a, b = (read_tensors(tmp_path / k / LATEST / NETWORK) for k in ('run', 'again'))
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_missing_data_are_named(tmp_path):
    from monother_ros.learning.tasks.opening import open_pairs
    from monother_ros.learning.tasks.recipes import PairData

    with pytest.raises(DatasetError, match='nowhere'):
        open_pairs(PairData({'kind': 'vivid', 'root': 'nowhere', 'split': 'train'}), 'training')
    assert open_pairs(PairData(), 'validation') is None


def test_drives_are_rendered_once_and_not_mixed(tmp_path):
    pytest.importorskip('embreex', reason='the simulator is not installed')
    pytest.importorskip('rosbags', reason='rosbags is not installed')
    small = DriveSettings(
        str(tmp_path), 2, 1, frames=2, width=64, height=48, rgb_width=80, rgb_height=60, workers=1
    )
    render_drives(small)
    bags = [*small.paths('training'), *small.paths('validation')]
    assert [bag.relative_to(tmp_path).as_posix() for bag in bags] == [
        'training/drive-0000', 'training/drive-0001', 'validation/drive-0000',
    ]  # fmt: skip
    contents = [next(bag.glob('*.mcap')).read_bytes() for bag in bags]
    assert len(set(contents)) == 3
    stamp = bags[0].stat().st_mtime_ns
    shutil.rmtree(bags[1])
    render_drives(small)
    assert bags[0].stat().st_mtime_ns == stamp
    assert next(bags[1].glob('*.mcap')).read_bytes() == contents[1]
    render_drives(replace(small, training=1))
    with pytest.raises(SettingsError, match='other settings'):
        render_drives(replace(small, width=80))
    with pytest.raises(SettingsError, match='at least one training drive'):
        replace(small, training=0)
    assert spread(10, 3) == [0, 4, 9]
    assert spread(3, 0) == spread(3, 5) == [0, 1, 2]


def test_sim_recipe_renders_what_it_trains_on(tmp_path, capsys, monkeypatch):
    pytest.importorskip('embreex', reason='the simulator is not installed')
    pytest.importorskip('rosbags', reason='rosbags is not installed')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    shape = yaml.safe_dump(SHAPE, default_flow_style=True, width=1000).strip()
    drives = {
        'folder': tmp_path / 'drives', 'training': 1, 'validation': 1, 'frames': 4, 'width': 64,
        'height': 48, 'rgb_width': 80, 'rgb_height': 60, 'workers': 1,
    }  # fmt: skip
    words = ['train', 'sim', '--out', str(tmp_path / 'run'), '--set', 'training.size=[48, 64]']
    words += [f'data.drives.{key}={value}' for key, value in drives.items()]
    words += [f'training.network={shape}', 'training.epochs=2', 'training.batch=2']
    words += ['data.validation_samples=2', 'run.threads=1', 'run.log_every=1', 'run.device=cpu']
    assert main(words) == 0
    about = json.loads((tmp_path / 'run' / LATEST / 'state.json').read_text())
    assert about['step'] == 4
    assert about['watched']['step'] == [2, 4]
    assert all(np.isfinite(about['training']['total']))
    assert about['watched']['abs_rel'][0] > 0
    # the same drives, given as bags
    bags = [str(p) for p in (tmp_path / 'drives' / 'training').iterdir()]
    words = [w.replace(str(tmp_path / 'drives'), 'elsewhere') for w in words]
    words[3] = str(tmp_path / 'given')
    words += ['--data', *bags, '--until', '1']
    assert main(words) == 0
    assert not Path('elsewhere').exists()
    other = json.loads((tmp_path / 'given' / LATEST / 'state.json').read_text())
    assert other['training']['total'][0] == about['training']['total'][0]
    assert 'now at step 0' in ''.join(capsys.readouterr())
