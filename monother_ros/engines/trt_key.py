# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a plan depends on, and so what it is found by."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from monother_ros.engines.onnx_precision import TYPING

if TYPE_CHECKING:
    from monother_ros.core.bundle import Bundle
    from monother_ros.engines.trt_api import TrtApi
    from monother_ros.engines.trt_build import BuildSettings


@dataclass(frozen=True)
class Gpu:
    """
    What a plan is built for.

    :param name: of the GPU; empty for a build by compute capability on a machine without one.
    :param capability: compute capability, e.g. '8.7', or several as '8.6,8.9'.
    :param driver: version of CUDA that the driver offers, e.g. '12.6'.
    :param l4t: release of the Jetson's Linux, e.g. '36.4.3'; empty elsewhere.
    """

    name: str = ''
    capability: str = ''
    driver: str = ''
    l4t: str = ''


@dataclass(frozen=True)
class CacheKey:
    """
    Everything that a plan depends on.

    :param bundle: hash of graph and weights, see :func:`bundle_hash`.
    :param trt: flavour and full version of TensorRT.
    :param gpu: see :class:`Gpu`.
    :param settings: of the build, see :meth:`BuildSettings.as_dict`.
    :param shapes: of the inputs, by name.
    """

    bundle: str
    trt: str
    gpu: Gpu
    settings: dict[str, Any] = field(default_factory=dict)
    shapes: dict[str, list[int]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Everything, as it comes back from JSON."""
        return dict(json.loads(json.dumps(asdict(self))))

    @property
    def digest(self) -> str:
        """Name of the entry: sha256 of all of it, 64 hexadecimal digits."""
        text = json.dumps(self.as_dict(), sort_keys=True, separators=(',', ':'))
        return hashlib.sha256(text.encode()).hexdigest()


def make_key(bundle: Bundle, api: TrtApi, gpu: Gpu, settings: BuildSettings) -> CacheKey:
    """
    Key of a build.

    A plan of TensorRT for RTX depends on the compute capability alone: one that was compiled
    ahead, on a machine without a GPU, is found by every GPU of that capability.

    :param bundle: what is built.
    :param api: with what.
    :param gpu: for what; of its capability, or of the targets that the settings name.
    :param settings: how.
    """
    shapes = {spec.name: list(spec.shape) for spec in bundle.inputs}
    data = settings.as_dict()
    targets = data.pop('targets')
    data['typing'] = TYPING
    if api.flavour == 'tensorrt_rtx':
        gpu = Gpu(capability=','.join(sorted(targets)) or gpu.capability)
    return CacheKey(bundle_hash(bundle), f'{api.flavour} {api.version}', gpu, data, shapes)


def bundle_hash(bundle: Bundle) -> str:
    """
    Hash of a network with its weights: bundles that differ in their notes alone share plans.

    :param bundle: read and checked.
    :returns: 64 hexadecimal digits.
    """
    files = ['model.onnx']
    if bundle.external is not None:
        files += [bundle.external.data, bundle.external.replaced or '']
    text = '\n'.join(bundle.files.get(name, '') for name in files)
    return hashlib.sha256(text.encode()).hexdigest()
