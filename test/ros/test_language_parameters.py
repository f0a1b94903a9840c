# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of the language node: file, table, ranges; and its launch file."""

from __future__ import annotations

import ast
import math
from pathlib import Path

import numpy as np
import pytest
import yaml

from monother_ros.core.errors import SettingsError
from monother_ros.ros import parameters as depth_parameters
from monother_ros.ros.language_parameters import LanguageNodeParameters
from monother_ros.ros.parameter_specs import defaults, specs
from monother_ros.ros.parameter_texts import markdown_text, yaml_text

ROOT = Path(__file__).resolve().parents[2]


def test_yaml_file_lists_every_parameter_with_its_default():
    text = (ROOT / 'config' / 'language.yaml').read_text()
    assert yaml.safe_load(text)['/**']['ros__parameters'] == defaults(LanguageNodeParameters)
    assert text == yaml_text(LanguageNodeParameters, 'language node'), (
        'run: python scripts/write_docs.py'
    )


def test_table_in_docs_is_up_to_date():
    text = (ROOT / 'docs' / 'language_parameters.md').read_text()
    assert text == markdown_text(LanguageNodeParameters, 'language node'), (
        'run: python scripts/write_docs.py'
    )


def test_every_parameter_is_described_and_every_number_has_a_range():
    for name, spec in specs(LanguageNodeParameters).items():
        assert spec.description.endswith('.') and len(spec.description) > 15, name
        default = defaults(LanguageNodeParameters)[name]
        if type(default) in (int, float):
            assert spec.low is not None and spec.high is not None, name
            assert spec.low <= default <= spec.high, name


@pytest.mark.parametrize(
    ('values', 'words'),
    [
        ({'focal_pairs': 0}, 'focal_pairs is 0; it must be within'),
        ({'focal_period': math.nan}, 'finite'),
        ({'device': 'tpu'}, 'use one of cpu, cuda, auto'),
        ({'extrinsics': [1.0, 2.0]}, 'has 2 numbers; give 16'),
    ],
)
def test_what_is_not_allowed_is_refused_with_the_reason(values, words):
    with pytest.raises(SettingsError, match=words):
        LanguageNodeParameters(**values)


def test_pose():
    assert LanguageNodeParameters().pose() is None
    pose = LanguageNodeParameters(extrinsics=[0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]).pose()
    np.testing.assert_allclose(pose[:3, 3], [0.1, 0.0, 0.0])


def _constants(file):
    found = {}
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                continue  # computed when launched
    return found


def test_launch_arguments_are_parameters_and_topics_of_the_nodes():
    language = _constants(ROOT / 'launch' / 'language.launch.py')
    depth = _constants(ROOT / 'launch' / 'depth.launch.py')
    known = specs(LanguageNodeParameters)
    assert {*language['OVERRIDES'], *language['SHARED'], 'autostart'} <= set(known)
    assert set(language['SHARED']) <= set(depth['OVERRIDES']) & set(depth_parameters.specs())
    assert {n: depth['TOPICS'][n][0] for n in language['INPUTS']} == language['INPUTS']
    sources = ''.join(
        (ROOT / 'monother_ros' / 'nodes' / name).read_text()
        for name in ('language_node.py', 'focal_input.py')
    )
    for topic, _ in language['TOPICS'].values():
        assert f"'{topic}'" in sources, topic
    assert not set(language['OVERRIDES']) & set(depth['OVERRIDES']), 'one name, two meanings'


@pytest.mark.ros_distro
def test_every_argument_is_described():
    pytest.importorskip('launch_ros', reason='launch comes with a ROS distribution')
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    from launch import LaunchContext

    file = str(ROOT / 'launch' / 'language.launch.py')
    description = PythonLaunchDescriptionSource(file).get_launch_description(LaunchContext())
    declared = {a.name: a for a in description.get_launch_arguments()}
    assert {'model', 'head', 'text_encoder', 'focal_teacher', 'scene_description'} <= set(declared)
    for argument in declared.values():
        assert len(argument.description) > 8 and argument.default_value is not None
