# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Launch files, read without the package launch: arguments, topics and executables."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from monother_ros.nodes.interfaces import DEPTH, METRICS, NODES
from monother_ros.ros import parameters as depth_parameters

ROOT = Path(__file__).resolve().parents[2]
FILES = {file.name.split('.')[0]: file for file in sorted((ROOT / 'launch').glob('*.launch.py'))}

DECLARED = {
    'depth': ('TOPICS', 'OVERRIDES'),
    'adapt': ('OUTPUTS', 'OVERRIDES'),
    'language': ('TOPICS', 'OVERRIDES'),
    'replay': ('TRUTH_TOPICS',),
}
"""Launch file → its constants whose names are arguments."""

ON_PURPOSE = {
    'adapt': {'revisions', 'revision', 'rviz_config'},
    'language': set(),
    'replay': {'use_sim_time'},
}
"""Arguments of depth.launch.py that another file declares first, with the same meaning."""


def constants(name):
    found = {}
    for node in ast.parse(FILES[name].read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                continue  # computed when launched, or built of other constants
    return found


def declarations(name):
    """Every call that declares an argument: name (None where a loop gives it), keywords."""
    calls = []
    for node in ast.walk(ast.parse(FILES[name].read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, 'id', '') == 'DeclareLaunchArgument':
            first = node.args[0]
            title = first.value if isinstance(first, ast.Constant) else None
            calls.append((title, {k.arg: k.value for k in node.keywords}))
    return calls


def arguments(name):
    own = {title for title, _ in declarations(name) if title}
    for constant in DECLARED[name]:
        own |= set(constants(name)[constant])
    return own


def test_there_is_a_launch_file_for_each_use():
    assert set(FILES) == set(DECLARED)


@pytest.mark.parametrize('name', DECLARED)
def test_every_argument_has_description_and_default_or_is_needed(name):
    found = declarations(name)
    assert len(found) > 2
    for title, keywords in found:
        assert 'description' in keywords, title
        assert 'default_value' in keywords or (name, title) == ('replay', 'bag'), title
        default = keywords.get('default_value')
        if isinstance(default, ast.Constant) and default.value in ('true', 'false'):
            assert 'choices' in keywords, f'{title} is a switch without choices'


@pytest.mark.parametrize('name', ON_PURPOSE)
def test_one_name_has_one_meaning(name):
    assert arguments(name) & arguments('depth') == ON_PURPOSE[name]


def test_replay_names_topics_of_the_nodes():
    replay, depth = constants('replay'), constants('depth')
    published = {topic.name for topic in DEPTH.publishes}
    heard = {topic.name for topic in METRICS.subscribes}
    assert {depth['TOPICS'][name][0] for name in replay['OUTPUTS']} <= published & heard
    assert replay['OUTPUTS'] == {n: depth['TOPICS'][n][0] for n in replay['OUTPUTS']}
    assert {inner for inner, *_ in replay['TRUTH_TOPICS'].values()} <= heard
    # what simulated drives hold is the default
    assert replay['TRUTH_TOPICS']['truth_depth'][1] == 'ground_truth/thermal/depth'


def test_depth_names_topics_and_parameters_of_its_node():
    depth = constants('depth')
    known = {t.name for t in (*DEPTH.publishes, *DEPTH.subscribes)}
    assert {topic for topic, _ in depth['TOPICS'].values()} <= known
    assert set(depth['OVERRIDES']) <= set(depth_parameters.specs())
    assert {'model', 'engine', 'precision'} <= set(depth['OVERRIDES'])


def test_nodes_and_verbs_that_are_started_exist():
    names = {node.name for node in NODES} | {'monother', 'rviz2'}
    started = set()
    for name in FILES:
        for node in ast.walk(ast.parse(FILES[name].read_text())):
            if isinstance(node, ast.Call):
                found = [k.value for k in node.keywords if k.arg == 'executable']
                if getattr(node.func, 'id', '') == 'ExecutableInPackage':
                    found += node.args[:1]
                started |= {value.value for value in found if isinstance(value, ast.Constant)}
    assert started <= names and {'depth_node', 'metrics_node', 'monother'} <= started
    for name in started - {'rviz2'}:
        assert (ROOT / 'scripts' / name).is_file()
