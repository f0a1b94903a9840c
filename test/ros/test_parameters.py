# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The dataclass of parameters, its files, and what rclpy makes of it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import yaml

from monother_ros.core.errors import SettingsError
from monother_ros.ros.parameter_texts import markdown_text, yaml_text
from monother_ros.ros.parameters import (
    DepthNodeParameters,
    declare,
    defaults,
    read,
    specs,
)

ROOT = Path(__file__).resolve().parents[2]
POSE = [0.0, -1.0, 0.0, 0.1, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, -0.02, 0.0, 0.0, 0.0, 1.0]


def test_yaml_file_lists_every_parameter_with_default_and_comment():
    text = (ROOT / 'config' / 'depth.yaml').read_text()
    values = yaml.safe_load(text)['/**']['ros__parameters']
    assert values == defaults()
    lines = text.splitlines()
    for name in defaults():
        row = next(i for i, line in enumerate(lines) if line.strip().startswith(f'{name}:'))
        assert lines[row - 1].strip().startswith('# '), f'{name} has no comment'
    assert text == yaml_text(DepthNodeParameters, 'depth node'), (
        'run: python scripts/write_docs.py'
    )


def test_table_in_docs_is_up_to_date():
    text = (ROOT / 'docs' / 'parameters.md').read_text()
    assert text == markdown_text(DepthNodeParameters, 'depth node'), (
        'run: python scripts/write_docs.py'
    )
    assert all(f'| `{name}` |' in text for name in defaults())


def test_every_parameter_is_described_and_every_number_has_a_range():
    for name, spec in specs().items():
        assert spec.description.endswith('.') and len(spec.description) > 15, name
        if type(defaults()[name]) in (int, float):
            assert spec.low is not None and spec.high is not None and spec.low < spec.high, name


@pytest.mark.parametrize(
    ('values', 'words'),
    [
        ({'range_min': 90.0}, 'range_min 90 m is not below range_max 80 m'),
        ({'range_min': 5.0, 'range_max': 5.0}, 'not below'),
        ({'confidence_min': 1.5}, 'confidence_min is 1.5; it must be within 0 to 1'),
        ({'range_max': math.nan}, 'range_max is nan; give a finite number'),
        ({'diagnostics_period': math.inf}, 'finite'),
        ({'thermal_transport': 'theora'}, "thermal_transport is 'theora'; use one of raw"),
        ({'model': '  '}, 'model is empty'),
        ({'threads': -1}, 'threads'),
        ({'rgb_extrinsics': [1.0, 2.0]}, 'has 2 numbers; give 16'),
        ({'rgb_extrinsics': [2.0 * v for v in POSE]}, 'not a rigid transform'),
        ({'rgb_extrinsics': [-v for v in POSE[:12]] + POSE[12:]}, 'not a rigid transform'),
    ],
)
def test_values_out_of_range_or_contradicting_are_refused_with_the_reason(values, words):
    with pytest.raises(SettingsError, match=words):
        DepthNodeParameters().changed(values)


def test_both_ends_of_the_range_can_move_together():
    new = DepthNodeParameters().changed({'range_min': 90.0, 'range_max': 200.0, 'unknown': 1})
    assert (new.range_min, new.range_max) == (90.0, 200.0)


def test_extrinsics_come_as_a_matrix_and_a_single_zero_means_unknown():
    assert DepthNodeParameters().extrinsics() is None
    matrix = DepthNodeParameters(rgb_extrinsics=POSE).extrinsics()
    assert np.allclose(matrix @ [1, 0, 0, 1], [0.1, 1.0, -0.02, 1])


def test_declaration_carries_ranges_descriptions_and_read_only(ros_domain):
    import rclpy
    from rclpy.parameter import Parameter

    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node(
        'declared',
        context=context,
        parameter_overrides=[Parameter('range_max', value=60.0)],
        start_parameter_services=False,
    )
    try:
        declare(node)
        assert read(node) == DepthNodeParameters(range_max=60.0)
        confidence = node.describe_parameter('confidence_min')
        assert confidence.floating_point_range[0].to_value == 1.0
        assert node.describe_parameter('threads').integer_range[0].to_value == 64
        assert node.describe_parameter('autostart').read_only
        model = node.describe_parameter('model')
        assert not model.read_only and 'configured' in model.additional_constraints
        assert 'best_effort, reliable' in (
            node.describe_parameter('thermal_reliability').additional_constraints
        )
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


class WithoutPostSet:
    """A real node as in Humble, where no callback follows a set."""

    def __init__(self, node):
        self._node = node

    def __getattr__(self, name):
        if name == 'add_post_set_parameters_callback':
            raise AttributeError(name)
        return getattr(self._node, name)


@pytest.mark.parametrize('wrap', [lambda node: node, WithoutPostSet])
def test_guard_applies_what_changed_once_with_and_without_post_set_callback(ros_domain, wrap):
    import rclpy
    from rclpy.parameter import Parameter

    from monother_ros.ros.parameter_guard import ParameterGuard

    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node('guarded', context=context, start_parameter_services=False)
    applied = []
    try:
        declare(node)
        guard = ParameterGuard(
            wrap(node), DepthNodeParameters, lambda: True, lambda new, names: applied.append(names)
        )
        guard.reload()
        values = {'range_max': 50.0, 'confidence_min': 0.0, 'use_sim_time': True}
        parameters = [Parameter(name, value=v) for name, v in values.items()]
        assert node.set_parameters_atomically(parameters).successful
        # confidence_min is as it was, and use_sim_time is not ours
        assert applied == [{'range_max'}] and guard.current.range_max == 50.0
        assert not node.set_parameters_atomically([Parameter('range_min', value=60.0)]).successful
        assert len(applied) == 1 and guard.current.range_min == 0.5
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)
