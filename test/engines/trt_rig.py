# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Engines on the double of TensorRT, and what they said."""

from __future__ import annotations

import numpy as np

from monother_ros.engines.base import EngineOptions, PlanOptions
from monother_ros.engines.tensorrt import TensorRtEngine
from monother_ros.engines.trt_cache import EngineCache

VERSIONS = ('8.6.1', '10.3.0', '10.13.3.9', '11.4.0.106')
X = {'thermal': np.full((1, 1, 24, 32), 0.5, np.float32)}


class Maker:
    """Engines with one cache, and what they said."""

    def __init__(self, folder):
        self.folder = folder
        self.said = []

    def __call__(self, bundle, **fields):
        plan = fields.pop('plan', {})
        fields = {'device': 'auto', 'precision': 'auto', 'threads': 1, **fields}
        plan = PlanOptions(cache=self.folder, **plan)
        return TensorRtEngine(bundle, EngineOptions(plan=plan, log=self.said.append, **fields))

    @property
    def text(self):
        return '\n'.join(self.said)

    @property
    def entries(self):
        return EngineCache(self.folder).entries()
