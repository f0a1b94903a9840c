# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of the adapt node: file, table, ranges, and what learning makes of them."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import yaml

from monother_ros.core.errors import SettingsError
from monother_ros.ros.adapt_parameters import PARTS, AdaptNodeParameters
from monother_ros.ros.parameter_specs import defaults, specs
from monother_ros.ros.parameter_texts import markdown_text, yaml_text

ROOT = Path(__file__).resolve().parents[2]


def test_yaml_file_lists_every_parameter_with_its_default():
    text = (ROOT / 'config' / 'adapt.yaml').read_text()
    assert yaml.safe_load(text)['/**']['ros__parameters'] == defaults(AdaptNodeParameters)
    assert text == yaml_text(AdaptNodeParameters, 'adapt node'), (
        'run: python scripts/write_docs.py'
    )


def test_table_in_docs_is_up_to_date():
    text = (ROOT / 'docs' / 'adapt_parameters.md').read_text()
    assert text == markdown_text(AdaptNodeParameters, 'adapt node'), (
        'run: python scripts/write_docs.py'
    )


def test_every_parameter_is_described_and_every_number_has_a_range():
    for name, spec in specs(AdaptNodeParameters).items():
        assert spec.description.endswith('.') and len(spec.description) > 15, name
        default = defaults(AdaptNodeParameters)[name]
        if type(default) in (int, float):
            assert spec.low is not None and spec.high is not None, name
            assert spec.low <= default <= spec.high, name


@pytest.mark.parametrize(
    ('values', 'words'),
    [
        ({'rate': 0.0}, 'rate is 0; it must be within'),
        ({'cpu_share': math.nan}, 'finite'),
        ({'part': 'tail'}, 'use one of head, decoder, norm, all, adapters'),
        ({'model': ''}, 'model is empty'),
        ({'extrinsics': [1.0, 2.0]}, 'has 2 numbers; give 16'),
        ({'extrinsics': [0.0] * 7}, 'quaternion of extrinsics is zero'),
        ({'extrinsics': [2.0] * 16}, 'not a rigid transform'),
        ({'gap_seconds': 4.0}, 'gap_seconds 4 is not below block_seconds 2'),
        ({'gate_night': 2.0}, 'gate_night 2 is above gate_day; set both together'),
        ({'slipped': 1.0}, 'settled 3 is above slipped'),
        ({'thermal_camera': 'cam0', 'rgb_camera': 'cam0'}, 'name two cameras'),
    ],
)
def test_what_is_not_allowed_is_refused_with_the_reason(values, words):
    with pytest.raises(SettingsError, match=words):
        AdaptNodeParameters().changed(values)


def test_empty_texts_that_mean_none_are_allowed():
    names = ('revisions', 'memory', 'confidence', 'anchors', 'calibration', 'thermal_camera')
    new = AdaptNodeParameters().changed(dict.fromkeys(names, ''))
    assert all(getattr(new, name) == '' for name in names)


def test_pose_of_16_and_of_7_numbers():
    assert AdaptNodeParameters().pose() is None
    turned = [0.1, 0.0, 0.0, 0.0, 0.0, math.sin(math.pi / 4), math.cos(math.pi / 4)]
    pose = AdaptNodeParameters(extrinsics=turned).pose()
    assert np.allclose(pose @ [1, 0, 0, 1], [0.1, 1, 0, 1])
    assert np.allclose(AdaptNodeParameters(extrinsics=pose.ravel().tolist()).pose(), pose)


def test_parameters_and_settings_of_learning_have_the_same_defaults():
    pytest.importorskip('torch')
    pytest.importorskip('rclpy')
    from monother_ros.learning.adaptation import AdaptationSettings
    from monother_ros.learning.gates import GateSettings
    from monother_ros.learning.student import PARTS as TRAINED
    from monother_ros.nodes.adapt_settings import adaptation_settings

    assert adaptation_settings(AdaptNodeParameters()) == AdaptationSettings()
    assert PARTS == TRAINED
    limits = {f'gate_{item.name}' for item in fields(GateSettings)} - {'gate_stamps'}
    assert limits == {name for name in defaults(AdaptNodeParameters) if name.startswith('gate_')}
    given = AdaptNodeParameters(part='head', confidence='', replay_mb=7, guard_least_pairs=9)
    made = adaptation_settings(given)
    assert made.distiller.part == 'head' and not made.distiller.confidence
    assert made.replay_bytes == 7_000_000 and made.guard.least_pairs == 9
