# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Models of the transformers library as teachers: loading, Depth Anything, ZoeDepth."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='torch is not installed')
transformers = pytest.importorskip('transformers', reason='transformers is not installed')

import tiny_teachers as tiny  # noqa: E402

from monother_ros.core.camera import Intrinsics  # noqa: E402
from monother_ros.core.errors import TeacherError  # noqa: E402
from monother_ros.learning.teacher import TeacherOptions, load_teacher  # noqa: E402

SMALL = TeacherOptions(size=(64, 96))
METRIC = {'depth_estimation_type': 'metric', 'max_depth': 80}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('models')


@pytest.fixture(scope='module')
def relative(folder):
    return tiny.saved(tiny.depth_anything(), folder / 'relative')


@pytest.fixture(scope='module')
def metric(folder):
    return tiny.saved(tiny.depth_anything(**METRIC), folder / 'metric')


@pytest.fixture(scope='module')
def zoe(folder):
    return tiny.saved(tiny.zoedepth(), folder / 'zoe')


@pytest.fixture(scope='module')
def zoe_nk(folder):
    return tiny.saved(tiny.zoedepth(('nyu', 'kitti')), folder / 'zoe_nk')


def test_relative_depth_anything_is_an_inverse_depth(relative):
    teacher = load_teacher(relative, SMALL)
    assert teacher.kind == 'affine-inverse' and teacher.relative and teacher.name == 'relative'
    rgb = tiny.picture(70, 98)
    result = teacher.depth(rgb)
    assert result.kind == 'affine-inverse' and result.confidence is None
    with torch.no_grad():
        seen = teacher.prepare(torch.from_numpy(rgb.transpose(2, 0, 1))[None] / 255)
        said = teacher.model(seen).predicted_depth[:, None]
        said = torch.nn.functional.interpolate(said, (70, 98), mode='bicubic')[0, 0]
    near = said > 0.01
    assert 0.05 < near.float().mean() < 1
    np.testing.assert_allclose(result.inverse[near], said[near], rtol=1e-4)
    # where it says 0 or less, as far away as can be said, and never unknown
    assert (result.depth[said <= 0] == 1e6).all() and result.known.all()


def test_metric_depth_anything_stays_within_its_range(metric):
    teacher = load_teacher(metric, SMALL)
    assert teacher.kind == 'metric' and not teacher.relative
    result = teacher.depth(tiny.picture(70, 98))
    assert result.depth.shape == (70, 98) and result.depth.std() > 1
    assert result.depth.min() > 0 and result.depth.max() < 81


def test_metric_depth_anything_is_corrected_for_another_camera(metric):
    rgb = tiny.picture(140, 196)
    camera = Intrinsics(196, 140, 140.0, 140.0, 97.5, 69.5)
    plain = load_teacher(metric, SMALL).depth(rgb, camera)
    teacher = load_teacher(metric, TeacherOptions(size=(64, 96), focal_length=140.0))
    assert teacher.prepare(torch.zeros(1, 3, 140, 196)).shape == (1, 3, 70, 98)
    # the lens has 70 px at the width of the network
    np.testing.assert_allclose(teacher.depth(rgb, camera).depth, plain.depth / 2, rtol=1e-5)


def test_a_batch_is_the_same_as_one_by_one(metric, zoe_nk):
    rgb = np.stack([tiny.picture(70, 98, seed) for seed in (1, 2, 3)])
    for spec in (metric, zoe_nk):
        teacher = load_teacher(spec, SMALL)
        batch = teacher.predict(torch.from_numpy(rgb.transpose(0, 3, 1, 2).copy())).depth
        for index in range(3):
            alone = teacher.depth(rgb[index]).depth
            np.testing.assert_allclose(batch[index, 0], alone, rtol=1e-4, atol=1e-4)


def test_settings_of_the_image_processor_are_followed(folder):
    spec = tiny.saved(
        tiny.depth_anything(),
        folder / 'own',
        size={'height': 84, 'width': 84},
        ensure_multiple_of=14,
        keep_aspect_ratio=False,
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.25, 0.25, 0.25],
        resample=2,
    )
    seen = load_teacher(spec).prepare(torch.full((1, 3, 60, 100), 0.8))
    assert seen.shape == (1, 3, 84, 84)
    np.testing.assert_allclose(seen, (204 / 255 - 0.5) / 0.25, rtol=1e-5)
    seen = load_teacher(spec, TeacherOptions(size=(56, 70))).prepare(torch.rand(1, 3, 60, 100))
    assert seen.shape == (1, 3, 56, 70)


def test_zoedepth_averages_with_the_mirrored_picture(zoe):
    rgb = tiny.picture(60, 90)
    both = load_teacher(zoe, SMALL).depth(rgb).depth
    once = load_teacher(zoe, TeacherOptions(size=(64, 96), flip=False))
    plain = once.depth(rgb).depth
    mirrored = once.depth(np.ascontiguousarray(rgb[:, ::-1])).depth[:, ::-1]
    np.testing.assert_allclose(both, (plain + mirrored) / 2, rtol=1e-5)
    assert np.abs(both - plain).max() > 0.01


def test_each_picture_chooses_its_own_zoedepth_head(zoe_nk):
    """The library lets the batch vote; a picture's depth must not depend on its neighbours."""
    teacher = load_teacher(zoe_nk, TeacherOptions(size=(64, 96), flip=False))
    assert teacher.domains == ('nyu', 'kitti')
    rgb = tiny.picture(60, 90)
    chosen = teacher.depth(rgb).depth
    forced = {}
    for domain in ('nyu', 'kitti'):
        options = TeacherOptions(size=(64, 96), flip=False, domain=domain)
        forced[domain] = load_teacher(zoe_nk, options).depth(rgb).depth
    assert np.median(forced['kitti']) > 2 * np.median(forced['nyu'])
    same = [np.allclose(chosen, depth, rtol=1e-5) for depth in forced.values()]
    assert sum(same) == 1


def test_pictures_of_a_batch_do_not_vote_together(zoe_nk):
    teacher = load_teacher(zoe_nk, TeacherOptions(size=(64, 96), flip=False))
    votes = [torch.tensor([5.0, 0.0]), torch.tensor([0.0, 4.0])]

    def vote(_module, _inputs, logits):
        return torch.stack([votes.pop(0) for _ in logits])

    teacher.model.metric_head.mlp_classifier.register_forward_hook(vote)
    rgb = torch.from_numpy(tiny.picture(60, 90).transpose(2, 0, 1).copy())[None]
    first, second = teacher.predict(rgb.repeat(2, 1, 1, 1)).depth
    assert second.median() > 2 * first.median()


@pytest.mark.parametrize('which, domain', [('zoe', 'kitti'), ('zoe_nk', 'mars')])
def test_heads_that_are_not_there_are_named(request, which, domain):
    spec = request.getfixturevalue(which)
    with pytest.raises(TeacherError, match=f'no head for the domain {domain!r}'):
        load_teacher(spec, TeacherOptions(domain=domain))


def test_zoedepth_ignores_the_slip_in_the_class_default(folder):
    spec = tiny.saved(tiny.zoedepth(), folder / 'slip', ensure_multiple_of=1 / 32)
    shape = load_teacher(spec).prepare(torch.zeros(1, 3, 480, 640)).shape
    assert shape[2] % 32 == 0 and shape[3] % 32 == 0


def test_mixed_precision_stays_close(metric):
    rgb = tiny.picture(70, 98)
    full = load_teacher(metric, SMALL).depth(rgb).depth
    mixed = load_teacher(metric, TeacherOptions(size=(64, 96), precision='bf16')).depth(rgb).depth
    assert mixed.dtype == np.float32
    difference = np.abs(mixed - full) / full
    assert 0 < np.median(difference) < 0.02


BARE = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('PIL', 'torchvision'):
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Absent())
import numpy
from monother_ros.learning.teacher import TeacherOptions, load_teacher
teacher = load_teacher(sys.argv[1], TeacherOptions(size=(64, 96)))
print(teacher.depth(numpy.zeros((70, 98, 3), numpy.uint8)).depth.shape)
"""


def test_neither_pillow_nor_torchvision_is_needed(metric):
    done = subprocess.run(
        [sys.executable, '-c', BARE, metric], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == '(70, 98)'


@pytest.mark.parametrize('name', ['depth_anything', 'depth_pro', 'zoedepth'])
def test_a_loaded_network_is_the_one_that_was_saved(folder, name):
    model = getattr(tiny, name)()
    teacher = load_teacher(tiny.saved(model, folder / f'same_{name}'))
    picture = torch.rand(1, 3, 128, 128)
    with torch.no_grad():
        expected, found = model(picture), teacher.model(picture)
    assert torch.equal(found.predicted_depth, expected.predicted_depth)


@pytest.mark.parametrize('name', ['depth_anything', 'depth_pro', 'zoedepth'])
def test_weights_in_half_precision_run_in_full(folder, name):
    model = getattr(tiny, name)()
    target = folder / f'half_{name}'
    options = TeacherOptions(size=None if name == 'depth_pro' else (64, 96))
    rgb = tiny.picture(64, 96)
    full = load_teacher(tiny.saved(model, target), options).depth(rgb).depth
    teacher = load_teacher(tiny.saved(model.half(), target), options)
    assert {value.dtype for value in teacher.model.parameters()} == {torch.float32}
    assert np.median(np.abs(teacher.depth(rgb).depth / full - 1)) < 0.01


def test_incomplete_weights_are_refused(folder):
    from safetensors.torch import load_file, save_file

    tiny.saved(tiny.depth_anything(), folder / 'part')
    weights = load_file(folder / 'part' / 'model.safetensors')
    del weights['head.conv3.weight']
    save_file(weights, folder / 'part' / 'model.safetensors', {'format': 'pt'})
    with pytest.raises(TeacherError, match=r'incomplete: head\.conv3\.weight missing'):
        load_teacher(f'transformers:{folder / "part"}')


def test_weights_of_another_shape_are_refused(folder):
    from safetensors.torch import load_file, save_file

    tiny.saved(tiny.depth_anything(), folder / 'shape')
    weights = load_file(folder / 'shape' / 'model.safetensors')
    weights['head.conv3.weight'] = torch.zeros(1, 5, 1, 1)
    save_file(weights, folder / 'shape' / 'model.safetensors', {'format': 'pt'})
    with pytest.raises(TeacherError, match=r'head\.conv3\.weight|mismatch'):
        load_teacher(f'transformers:{folder / "shape"}')


def test_pickled_weights_are_never_loaded(folder):
    model = tiny.depth_anything()
    target = folder / 'pickle'
    model.save_pretrained(target)
    (target / 'model.safetensors').unlink()
    torch.save(model.state_dict(), target / 'pytorch_model.bin')
    with pytest.raises(TeacherError, match=r'pytorch_model\.bin is a pickle, which is never'):
        load_teacher(f'transformers:{target}')


def test_code_of_a_repository_is_never_run(folder):
    target = folder / 'remote'
    target.mkdir()
    (target / 'evil.py').write_text(f'open({str(target / "ran")!r}, "w")\nclass Evil: pass\n')
    fields = {'model_type': 'evil', 'auto_map': {'AutoConfig': 'evil.Evil'}}
    (target / 'config.json').write_text(json.dumps(fields))
    with pytest.raises(TeacherError, match='remote cannot be loaded'):
        load_teacher(f'transformers:{target}')
    assert not (target / 'ran').exists()


def test_models_of_another_type_are_named(folder):
    target = folder / 'bert'
    transformers.BertConfig(hidden_size=8, num_attention_heads=1).save_pretrained(target)
    with pytest.raises(TeacherError, match="type 'bert'; transformers models that can teach are"):
        load_teacher(f'transformers:{target}')


def test_folders_without_a_model_are_named(folder, tmp_path):
    with pytest.raises(TeacherError, match=r'must hold config\.json and model\.safetensors'):
        load_teacher(f'transformers:{tmp_path}')
    with pytest.raises(TeacherError, match='does not exist; give a folder'):
        load_teacher(f'transformers:{tmp_path / "absent"}')
    (tmp_path / 'file').write_text('')
    with pytest.raises(TeacherError, match='is a file'):
        load_teacher(f'transformers:{tmp_path / "file"}')


def test_a_hub_name_without_a_copy_here_says_how_to_get_one():
    options = TeacherOptions(download=False)
    with pytest.raises(TeacherError, match='hf download monother/no-such-model --local-dir'):
        load_teacher('transformers:monother/no-such-model', options)
