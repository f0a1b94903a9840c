# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tables of topics and services against the running nodes."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import replace

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from rclpy.qos import DurabilityPolicy, ReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import PointCloud2

from monother_ros.nodes.interfaces import ADAPT, DEPTH, LANGUAGE, METRICS, NODES
from monother_ros.ros.parameter_specs import specs

OF_EVERY_NODE = ('/rosout', '/parameter_events', '/clock')
OF_LIFECYCLE = ('change_state', 'get_state', 'get_available_states', 'get_available_transitions')
OF_LIFECYCLE += ('get_transition_graph', 'transition_event')
OF_PARAMETERS = ('describe_parameters', 'get_parameters', 'get_parameter_types')
OF_PARAMETERS += ('list_parameters', 'set_parameters', 'set_parameters_atomically')
OF_PARAMETERS += ('get_type_description',)


def described(node, topics, values):
    """What the table says: resolved name → type, reliable, latched."""
    found = {}
    for topic in topics:
        if topic.name == '/tf_static' and (
            importlib.util.find_spec('tf2_msgs') is None or values.get('truth') == 'depth'
        ):
            continue
        name, kind = topic.name, topic.type
        if topic.transport and values[topic.transport] == 'compressed':
            name, kind = f'{name}/compressed', 'sensor_msgs/msg/CompressedImage'
        reliability = values.get(topic.reliability, topic.reliability)
        found[resolved(node, name)] = (kind, reliability == 'reliable', topic.latched)
    return found


def resolved(node, name):
    if name.startswith('~'):
        return node.get_fully_qualified_name() + name[1:]
    return node.resolve_topic_name(name)


def real(node, listed, infos):
    """What the node has in the ROS graph, in the same form."""
    found = {}
    for topic, types in listed(node.get_name(), node.get_namespace()):
        last = topic.rpartition('/')[2]
        if topic in OF_EVERY_NODE or last in OF_LIFECYCLE:
            continue
        (end,) = (i for i in infos(topic) if i.node_name == node.get_name())
        qos = end.qos_profile
        found[topic] = (
            *types,
            qos.reliability == ReliabilityPolicy.RELIABLE,
            qos.durability == DurabilityPolicy.TRANSIENT_LOCAL,
        )
    return found


def differences(rig, interface):
    """What the node has and the table does not say, or the other way round: (has, said) each."""
    node, found = rig.node, []
    values = {name: p.value for name, p in node._parameters.items()}
    ends = (
        (
            interface.subscribes,
            node.get_subscriber_names_and_types_by_node,
            node.get_subscriptions_info_by_topic,
        ),
        (
            interface.publishes,
            node.get_publisher_names_and_types_by_node,
            node.get_publishers_info_by_topic,
        ),
    )
    for topics, listed, infos in ends:
        said = described(node, topics, values)
        rig.until(
            lambda listed=listed, said=said: len(listed(node.get_name(), '/')) >= len(said),
            what='topics',
        )
        found.append((real(node, listed, infos), said))
    services = {
        name: types[0]
        for name, types in node.get_service_names_and_types_by_node(node.get_name(), '/')
        if name.rpartition('/')[2] not in (*OF_LIFECYCLE, *OF_PARAMETERS)
    }
    found.append((services, {resolved(node, s.name): s.type for s in interface.services}))
    return [pair for pair in found if pair[0] != pair[1]]


OTHER = {
    f'{name}_reliability': value
    for value, names in {
        'reliable': ('thermal', 'rgb', 'lidar'),
        'best_effort': ('depth', 'confidence', 'points', 'color'),
    }.items()
    for name in names
}


@pytest.mark.parametrize('changes', [{}, {**OTHER, 'thermal_transport': 'compressed'}])
def test_depth_node_has_what_its_table_says(make_rig, tmp_path, changes):
    rig = make_rig(revisions=str(tmp_path), **changes)
    rig.until(lambda: rig.node.stage == 'active', what='active')
    rig.listener.create_subscription(PointCloud2, 'points', print, qos_profile_sensor_data)
    rig.until(lambda: rig.node.rgb._image is not None, what='RGB is wanted')
    assert differences(rig, DEPTH) == []


def test_adapt_node_has_what_its_table_says(make_adapt_rig):
    rig = make_adapt_rig(extrinsics=None, thermal_reliability='reliable').active()
    assert differences(rig, ADAPT) == []


def test_language_node_has_what_its_table_says(ros_domain, tmp_path):
    for module in ('torch', 'transformers'):
        pytest.importorskip(module, reason=f'{module} is not installed')
    from language_rig import LanguageRig
    from tiny_clip import make_clip, make_head

    clip = make_clip(tmp_path / 'clip')
    make_head(tmp_path / 'head', encoder=clip)
    rig = LanguageRig(
        head=str(tmp_path / 'head'),
        focal_teacher='transformers:/nowhere',
        rgb_reliability='reliable',
    )
    try:
        rig.until(lambda: rig.node.stage == 'active', what='active')
        assert differences(rig, LANGUAGE) == []
    finally:
        rig.close()


@pytest.mark.parametrize('truth', ['depth', 'points'])
def test_metrics_node_has_what_its_table_says(ros_domain, truth):
    from metrics_rig import MetricsRig

    rig = MetricsRig(publish=(), truth=truth, truth_reliability='best_effort')
    try:
        rig.until(lambda: rig.node.stage == 'active', what='active')
        kept = 'ground_truth/depth' if truth == 'points' else 'ground_truth/points'
        table = replace(METRICS, subscribes=[t for t in METRICS.subscribes if t.name != kept])
        assert differences(rig, table) == []
    finally:
        rig.close()


def test_every_entry_says_something_and_names_parameters_that_exist():
    for node in NODES:
        known = set(specs(node.kind))
        for topic in (*node.subscribes, *node.publishes):
            assert len(topic.text) > 8 and topic.text.endswith('.'), topic.name
            named = {topic.reliability, topic.transport} - {'', 'reliable', 'best_effort'}
            named |= set(re.findall(r'parameter `(\w+)`', topic.when))
            assert named <= known, topic.name
        names = [s.name for s in (*node.subscribes, *node.publishes, *node.services)]
        assert len(names) == len(set(names))
