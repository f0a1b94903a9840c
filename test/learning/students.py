# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small students and pairs for tests of learning on the vehicle."""

from __future__ import annotations

import numpy as np

HEIGHT, WIDTH = 64, 96


def lite_bundle(path):
    """A lite network with weights by chance and batch norms that do something, 64x96."""
    import torch

    from monother_ros.core.bundle import Normalisation
    from monother_ros.networks.export import export_bundle
    from monother_ros.networks.lite import LiteNetwork

    torch.manual_seed(3)
    network = LiteNetwork()
    generator = torch.Generator().manual_seed(4)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.copy_(0.1 * torch.randn(len(module.weight), generator=generator))
            module.running_var.copy_(0.5 + torch.rand(len(module.weight), generator=generator))
            module.weight.data.copy_(0.5 + torch.rand(len(module.weight), generator=generator))
    return export_bundle(
        network.eval(),
        path,
        name='small',
        revision='1',
        width=WIDTH,
        height=HEIGHT,
        normalisation=Normalisation('percentile', 2.0, 98.0, mean=0.5, std=0.25),
        depth_range=(0.5, 80.0),
        focal_length=78.0,
        training={},
        metrics={},
    )


def rig_view(bundle, *, distorted=True, offset=(0.15, 0.0, 0.0)):
    """A rig with two lenses."""
    from monother_ros.core.camera import Intrinsics
    from monother_ros.learning.online_pair import RigView

    lens = (-0.24, 0.07, 1e-3, -1e-3, 0.0) if distorted else ()
    thermal = Intrinsics(WIDTH, HEIGHT, 80.0, 80.5, 48.0, 31.0, distortion=lens)
    rgb = Intrinsics(2 * WIDTH, 2 * HEIGHT, 150.0, 150.0, 95.0, 63.0)
    pose = np.eye(4)
    pose[:3, 3] = offset
    return RigView.of(bundle, thermal, rgb, pose)


def make_pairs(bundle, count=3, seed=0, **rig):
    """Pairs of textured pictures; the teacher says a slope whose distance the picture tells."""
    from monother_ros.learning.online_pair import OnlinePair

    view = rig_view(bundle, **rig)
    channels = bundle.normalisation.channels
    height, width = view.height, view.width
    pairs = []
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        v, u = np.mgrid[0:height, 0:width] / height
        near = rng.uniform(4.0, 8.0)
        grey = 0.5 + 0.4 * np.sin(near * 4 * u + rng.uniform(0, 6)) * np.cos(9 * v)
        depth = near * (1.5 - v)
        thermal = ((grey + 0.02 * rng.normal(size=grey.shape)) - 0.5) / 0.25
        rgb = np.clip(255 * np.stack([grey, 1 - grey, grey]), 0, 255).astype(np.uint8)
        stacked = np.repeat(thermal[None], channels, 0).astype(np.float16)
        pairs.append(OnlinePair(index * 10**9, stacked, rgb, depth.astype(np.float16), view))
    return pairs


def make_anchors(bundle, count=2):
    """Anchors with true depths, some unknown and some sky."""
    from monother_ros.learning.anchors import AnchorBatch

    width, height = bundle.input_size
    rng = np.random.default_rng(9)
    shape = (count, bundle.normalisation.channels, height, width)
    depth = rng.uniform(3, 20, (count, 1, height // 4, width // 4)).astype(np.float32)
    depth[:, :, 0] = np.inf
    depth[:, :, 1] = 0
    inputs = np.repeat(rng.normal(size=shape)[:, :1], shape[1], 1).astype(np.float32)
    return AnchorBatch(inputs, depth, np.arange(count))


def patched(bundle, initialisers, path):
    """The bundle's ONNX file with other initialisers."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(str(bundle.model_path))
    left = dict(initialisers)
    for item in model.graph.initializer:
        if item.name in left:
            item.CopyFrom(numpy_helper.from_array(left.pop(item.name), item.name))
    assert not left
    onnx.save(model, str(path))
    return path
