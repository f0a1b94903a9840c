# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Time of depth teachers for one picture, and their differences to published processing, as JSON.

python bench/teachers.py --shared ../shared --out teachers.json

Depth Anything V2 Small and the RGB branch have their real size and random weights; the ONNX
network is a trained one. The exit code is 1 where a limit is missed.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from monother_ros.core.files import atomic_write
from monother_ros.learning.teacher import TeacherOptions, load_teacher
from monother_ros.learning.teachers.base import BaseTeacher
from monother_ros.learning.teachers.depth_pro import (
    depth_from_canonical,
    focal_from_field_of_view,
)
from monother_ros.learning.teachers.monother import MonoTherTeacher
from monother_ros.networks import named_weights
from monother_ros.networks.monother import DepthBranch, MonoTherConfig

PYDNET = {'meaning': 'inverse', 'kind': 'scale', 'factor': -1.0}
LIMITS = {
    'depth pro, published inference [relative]': 1e-5,
    'depth pro, transformers post-processing [relative]': 1e-5,
    'depth anything, processor input [mean 8-bit levels]': 1e-2,
    'zoedepth, processor input [max]': 1e-5,
}


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--shared', type=Path, required=True, help='folder of golden/ and data/')
    parser.add_argument('--runs', type=int, default=5)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--out', type=Path)
    arguments = parser.parse_args()
    file = arguments.shared / 'data/thermal_rgb_pair/left_rgb.png'
    rgb = np.ascontiguousarray(cv2.imread(str(file))[..., ::-1])
    found = differences(arguments.shared / 'golden/depth_pro')
    missed = [name for name, limit in LIMITS.items() if name in found and found[name] > limit]
    for name, value in found.items():
        print(f'{name}: {value:.3g} (limit {LIMITS[name]:g})')
    times = {}
    with tempfile.TemporaryDirectory() as place:
        options = TeacherOptions(device=arguments.device)
        for name, load in candidates(arguments.shared, Path(place), options).items():
            times[name] = timed(load(), rgb, arguments.runs)
            print(name, times[name])
    result = {
        'machine': f'{platform.machine()}, {torch.get_num_threads()} threads, torch '
        f'{torch.__version__}, device {arguments.device}',
        'picture': list(rgb.shape[:2]),
        'differences': found,
        'limits': LIMITS,
        'times [s]': times,
        'missed': missed,
    }
    if arguments.out:
        atomic_write(arguments.out, json.dumps(result, indent=2) + '\n')
    return 1 if missed else 0


def timed(teacher: BaseTeacher, rgb: np.ndarray, runs: int) -> dict[str, float]:
    """Median seconds of a whole picture, and of what is before the network."""
    teacher.depth(rgb)  # the first run allocates
    whole, before = [], []
    picture = torch.from_numpy(rgb.transpose(2, 0, 1).copy())[None].to(teacher.device) / 255
    for _ in range(runs):
        start = time.perf_counter()
        teacher.depth(rgb)
        whole.append(time.perf_counter() - start)
        start = time.perf_counter()
        with torch.no_grad():
            teacher.prepare(picture)
        before.append(time.perf_counter() - start)
    return {
        'whole': round(statistics.median(whole), 4),
        'preparing': round(statistics.median(before), 4),
    }


def candidates(
    shared: Path, place: Path, options: TeacherOptions
) -> dict[str, Callable[[], BaseTeacher]]:
    """Teachers by name; each is loaded when its turn has come."""
    model = shared / 'data/rgb_depth_model/mobile_pydnet_pruned35_fp32.onnx'
    described = TeacherOptions(device=options.device, description=PYDNET)

    def branch() -> BaseTeacher:
        network = DepthBranch(MonoTherConfig.preset('vits'))
        named_weights.fill(network, 'rgb.')
        size = TeacherOptions(device=options.device, size=(256, 640))
        return MonoTherTeacher('monother ViT-S', network, size)

    def anything() -> BaseTeacher:
        depth_anything_small().save_pretrained(place / 'anything')
        return load_teacher(f'transformers:{place / "anything"}', options)

    return {
        'onnx: PyDNet 192x640, trained': lambda: load_teacher(f'onnx:{model}', described),
        'monother: ViT-S 252x644, random weights': branch,
        'transformers: Depth Anything V2 Small 518x1652, random weights': anything,
    }


def depth_anything_small() -> Any:
    """Depth Anything V2 Small of the published size, 24.8 M parameters."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    backbone = Dinov2Config(
        image_size=518,
        patch_size=14,
        hidden_size=384,
        num_attention_heads=6,
        out_features=['stage3', 'stage6', 'stage9', 'stage12'],
        reshape_hidden_states=False,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=384,
        neck_hidden_sizes=[48, 96, 192, 384],
        fusion_hidden_size=64,
    )
    torch.manual_seed(0)
    return DepthAnythingForDepthEstimation(config)


def differences(golden: Path) -> dict[str, float]:
    """Largest differences to the golden numbers, and to the library's processors if usable."""
    facts = json.loads((golden / 'conversions.json').read_text())
    found = {'depth pro, published inference [relative]': 0.0}
    with np.load(golden / 'canonical_inverse_depth.npz') as stored:
        canonical = torch.from_numpy(stored['canonical_inverse_depth'][0])
        for name, case in facts['apple_infer'].items():
            focal = focal_of(case['given_focal_px'], case['fov_deg'], case['width'])
            depth = depth_from_canonical(canonical, focal, (case['height'], case['width']))
            worst = relative(depth[0, 0], stored[f'{name}__depth'])
            found['depth pro, published inference [relative]'] = max(
                worst, found['depth pro, published inference [relative]']
            )
    case, worst = facts['transformers_post_process']['with_fov_and_target'], 0.0
    with np.load(golden / 'transformers_post_process.npz') as stored:
        for index, size in enumerate(case['target_sizes']):
            canonical = torch.from_numpy(stored['predicted_depth'][index : index + 1])
            focal = focal_of(None, case['field_of_view'][index], size[1])
            depth = depth_from_canonical(canonical, focal, tuple(size))
            expected = stored[f'with_fov_and_target__depth_{index}']
            worst = max(worst, relative(depth[0, 0], expected))
    found['depth pro, transformers post-processing [relative]'] = worst
    return {**found, **processor_differences()}


def processor_differences() -> dict[str, float]:
    """Inputs of the networks beside those of the library's Pillow processors."""
    try:
        from transformers.models.dpt.image_processing_pil_dpt import DPTImageProcessorPil
        from transformers.models.zoedepth.image_processing_pil_zoedepth import (
            ZoeDepthImageProcessorPil,
        )
    except ImportError:
        print('no Pillow processors here: not compared with them')
        return {}
    from monother_ros.learning.teachers.picture import IMAGENET_STD
    from monother_ros.learning.teachers.transformers_models import Processing

    anything_settings = {
        'size': {'height': 518, 'width': 518},
        'ensure_multiple_of': 14,
        'keep_aspect_ratio': True,
        'image_mean': [0.485, 0.456, 0.406],
        'image_std': list(IMAGENET_STD),
    }
    zoe_settings = {'ensure_multiple_of': 32}
    anything, zoe = bare_teachers(Processing(anything_settings), Processing(zoe_settings))
    worst = [0.0, 0.0]
    rng = np.random.default_rng(0)
    for size in ((480, 640), (384, 1224), (256, 640), (720, 1280)):
        noise = rng.uniform(0, 255, (size[0] // 6, size[1] // 6, 3)).astype(np.float32)
        rgb = np.clip(cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC), 0, 255)
        rgb = rgb.astype(np.uint8)
        picture = torch.from_numpy(rgb.transpose(2, 0, 1))[None].float() / 255
        theirs = DPTImageProcessorPil(**anything_settings)(rgb, return_tensors='pt')
        levels = (anything.prepare(picture) - theirs['pixel_values']).abs()
        levels *= 255 * torch.tensor(IMAGENET_STD).view(1, 3, 1, 1)
        worst[0] = max(worst[0], float(levels.mean()))
        theirs = ZoeDepthImageProcessorPil(**zoe_settings)(rgb, return_tensors='pt')
        worst[1] = max(
            worst[1], float((zoe.prepare(picture) - theirs['pixel_values']).abs().max())
        )
    return {
        'depth anything, processor input [mean 8-bit levels]': worst[0],
        'zoedepth, processor input [max]': worst[1],
    }


def bare_teachers(anything: Any, zoe: Any) -> tuple[Any, Any]:
    """Teachers whose networks are not run."""
    from types import SimpleNamespace

    from monother_ros.learning.teachers.depth_anything import DepthAnythingTeacher
    from monother_ros.learning.teachers.zoedepth import ZoeDepthTeacher

    class Nothing(torch.nn.Module):
        config = SimpleNamespace(
            depth_estimation_type='relative', patch_size=14, bin_configurations=[{}]
        )

    options = TeacherOptions()
    return (
        DepthAnythingTeacher('anything', Nothing(), anything, options),
        ZoeDepthTeacher('zoe', Nothing(), zoe, options),
    )


def focal_of(given: float | None, degrees: float, width: int) -> Tensor:
    """Focal length that a case uses, (1,) pixels."""
    if given is not None:
        return torch.tensor([given])
    return focal_from_field_of_view(torch.tensor([degrees]), width)


def relative(found: Tensor, expected: np.ndarray) -> float:
    """Largest relative difference."""
    return float((np.abs(found.numpy() - expected) / expected).max())


if __name__ == '__main__':
    sys.exit(main())
