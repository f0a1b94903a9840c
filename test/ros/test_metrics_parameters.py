# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of the metrics node: file, table, ranges."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import yaml

from monother_ros.core.errors import SettingsError
from monother_ros.ros.metrics_parameters import MetricsNodeParameters
from monother_ros.ros.parameter_specs import defaults, specs
from monother_ros.ros.parameter_texts import markdown_text, yaml_text

ROOT = Path(__file__).resolve().parents[2]
TEXT = (MetricsNodeParameters, 'metrics node')


def test_yaml_file_lists_every_parameter_with_its_default():
    text = (ROOT / 'config' / 'metrics.yaml').read_text()
    assert yaml.safe_load(text)['/**']['ros__parameters'] == defaults(MetricsNodeParameters)
    assert text == yaml_text(*TEXT), 'run: python scripts/write_docs.py'


def test_table_in_docs_is_up_to_date():
    text = (ROOT / 'docs' / 'metrics_parameters.md').read_text()
    assert text == markdown_text(*TEXT), 'run: python scripts/write_docs.py'


def test_every_parameter_is_described_and_every_number_has_a_range():
    for name, spec in specs(MetricsNodeParameters).items():
        assert spec.description.endswith('.') and len(spec.description) > 15, name
        default = defaults(MetricsNodeParameters)[name]
        if type(default) in (int, float):
            assert spec.low is not None and spec.high is not None, name
            assert spec.low <= default <= spec.high, name


@pytest.mark.parametrize(
    ('values', 'words'),
    [
        ({'window': 0}, 'window is 0; it must be within'),
        ({'slop': math.nan}, 'finite'),
        ({'truth': 'guess'}, 'use one of depth, points'),
        ({'range_min': 90.0}, 'range_min 90 m is not below range_max 80 m'),
        ({'lidar_extrinsics': [1.0, 2.0]}, 'has 2 numbers; give 16'),
        ({'lidar_extrinsics': [2.0] * 16}, 'is not a rigid transform'),
    ],
)
def test_what_is_not_allowed_is_refused_with_the_reason(values, words):
    with pytest.raises(SettingsError, match=words):
        MetricsNodeParameters(**values)


def test_pose():
    assert MetricsNodeParameters().lidar_pose() is None
    pose = MetricsNodeParameters(lidar_extrinsics=np.eye(4).ravel().tolist()).lidar_pose()
    np.testing.assert_array_equal(pose, np.eye(4))
