# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Our pre- and post-processing beside the image processors of the transformers library."""

from __future__ import annotations

import types

import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='torch is not installed')
transformers = pytest.importorskip('transformers', reason='transformers is not installed')
pytest.importorskip('PIL', reason='Pillow is not installed')

import tiny_teachers as tiny  # noqa: E402

from monother_ros.core.errors import TeacherError  # noqa: E402
from monother_ros.learning.teacher import load_teacher  # noqa: E402
from monother_ros.learning.teachers.picture import SizeRule  # noqa: E402

ANYTHING = {
    'size': {'height': 518, 'width': 518},
    'ensure_multiple_of': 14,
    'keep_aspect_ratio': True,
    'image_mean': [0.485, 0.456, 0.406],
    'image_std': [0.229, 0.224, 0.225],
    'resample': 3,
}
ZOE = {
    'size': {'height': 384, 'width': 512},
    'ensure_multiple_of': 32,
    'keep_aspect_ratio': True,
    'image_mean': [0.5, 0.5, 0.5],
    'image_std': [0.5, 0.5, 0.5],
    'resample': 2,
}
LEVEL = 1 / 255 / 0.224
"""One 8-bit level after normalisation."""


@pytest.fixture(scope='module')
def anything(tmp_path_factory):
    folder = tmp_path_factory.mktemp('anything')
    return load_teacher(tiny.saved(tiny.depth_anything(), folder))


@pytest.fixture(scope='module')
def zoe(tmp_path_factory):
    folder = tmp_path_factory.mktemp('zoe')
    return load_teacher(tiny.saved(tiny.zoedepth(), folder))


def tensor(rgb):
    return torch.from_numpy(rgb.transpose(2, 0, 1))[None].float() / 255


@pytest.mark.parametrize('size', [(480, 640), (384, 1224), (256, 640), (100, 77), (518, 518)])
def test_depth_anything_sees_what_the_processor_gives(anything, size):
    processor_class = pytest.importorskip(
        'transformers.models.dpt.image_processing_pil_dpt', reason='no Pillow processor here'
    ).DPTImageProcessorPil
    rgb = tiny.picture(*size)
    theirs = processor_class(**ANYTHING)(rgb, return_tensors='pt')['pixel_values']
    ours = anything.prepare(tensor(rgb))
    assert ours.shape == theirs.shape
    difference = (ours - theirs).abs()
    # a tie may be rounded to the other level
    assert difference.max() < 2.05 * LEVEL
    assert difference.mean() < 0.01 * LEVEL


def test_without_the_rounding_the_difference_is_larger(anything):
    """The 8-bit rounding is a real part of the published preprocessing."""
    module = pytest.importorskip('transformers.models.dpt.image_processing_pil_dpt')
    rgb = tiny.picture(300, 420)
    theirs = module.DPTImageProcessorPil(**ANYTHING)(rgb, return_tensors='pt')['pixel_values']
    from monother_ros.learning.teachers.picture import normalise, resize

    size = tuple(theirs.shape[2:])
    plain = normalise(resize(tensor(rgb), size, 'area_bicubic'), anything.mean, anything.std)
    ours = anything.prepare(tensor(rgb))
    assert (ours - theirs).abs().mean() < 0.01 * (plain - theirs).abs().mean()


def test_depth_anything_output_is_resized_as_the_processor_does(anything):
    module = pytest.importorskip('transformers.models.dpt.image_processing_pil_dpt')
    torch.manual_seed(3)
    output = torch.rand(2, 28, 42) * 5 + 1
    results = module.DPTImageProcessorPil().post_process_depth_estimation(
        types.SimpleNamespace(predicted_depth=output), target_sizes=[(100, 140), (100, 140)]
    )
    theirs = torch.stack([item['predicted_depth'] for item in results])
    ours = 1 / anything.finish(output, (100, 140))[:, 0]
    np.testing.assert_allclose(ours, theirs, rtol=2e-6)


@pytest.mark.parametrize('size', [(480, 640), (384, 1224), (100, 77)])
def test_zoedepth_sees_what_the_processor_gives(zoe, size):
    module = pytest.importorskip('transformers.models.zoedepth.image_processing_pil_zoedepth')
    rgb = tiny.picture(*size)
    theirs = module.ZoeDepthImageProcessorPil(**ZOE)(rgb, return_tensors='pt')['pixel_values']
    ours = zoe.prepare(tensor(rgb))
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, atol=5e-6)


@pytest.mark.parametrize('size', [(60, 90), (45, 131)])
def test_zoedepth_output_is_cut_as_the_processor_does(zoe, monkeypatch, size):
    module = pytest.importorskip('transformers.models.zoedepth.image_processing_pil_zoedepth')

    def resize(depth, size, interpolation, antialias):
        return torch.nn.functional.interpolate(
            depth[None], size, mode=interpolation, align_corners=False, antialias=antialias
        )[0]

    # torchvision is not needed here: its resize of a float tensor is torch's interpolate
    mode = types.SimpleNamespace(BICUBIC='bicubic')
    stub = types.SimpleNamespace(resize=resize, InterpolationMode=mode)
    monkeypatch.setattr(module, 'tvF', stub, raising=False)
    torch.manual_seed(4)
    plain, flipped = torch.rand(2, 1, 64, 96) * 20 + 1
    results = module.ZoeDepthImageProcessorPil().post_process_depth_estimation(
        types.SimpleNamespace(predicted_depth=plain),
        source_sizes=[size],
        outputs_flipped=types.SimpleNamespace(predicted_depth=flipped),
    )
    ours = (zoe.finish(plain, size) + zoe.finish(flipped, size).flip(-1)) / 2
    np.testing.assert_allclose(ours[0, 0], results[0]['predicted_depth'], atol=2e-4)


@pytest.mark.parametrize(
    'picture, expected',
    [
        ((480, 640), (518, 686)),  # larger than 518 would be shrunk: the shorter side decides
        ((1080, 1920), (518, 924)),
        ((256, 640), (210, 518)),  # the width is nearer to 518: the published processor's choice
        ((518, 518), (518, 518)),
        ((100, 100), (518, 518)),
    ],
)
def test_size_rule_of_depth_anything(picture, expected):
    assert SizeRule(518, 518, 14)(*picture) == expected


def test_size_rule_rounds_a_half_to_even_and_stretches_if_asked():
    assert SizeRule(49, 35, 14, keep_aspect=False)(9, 9) == (56, 28)  # 3.5 -> 4, 2.5 -> 2
    with pytest.raises(TeacherError, match='too narrow'):
        SizeRule(28, 28, 14)(4000, 3)
