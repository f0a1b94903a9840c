# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Layouts of RViz and Foxglove: every topic, type and field that they name is published."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from monother_ros.nodes.interfaces import CLOUD, DIAGNOSTICS, FLOAT, IMAGE, INFO, NODES, VECTOR
from monother_ros.ros.buffers import CLOUD_FIELDS

CONFIG = Path(__file__).resolve().parents[1] / 'config'

CAMERAS = {
    'thermal/image_raw': IMAGE,
    'thermal/camera_info': INFO,
    'rgb/image_raw': IMAGE,
    'lidar/points': CLOUD,
}
"""What drivers publish and the nodes subscribe to."""


def published():
    """Topic → type of everything that the nodes and the drivers publish."""
    topics = {topic.name: topic.type for node in NODES for topic in node.publishes}
    heard = {topic.name: topic.type for node in NODES for topic in node.subscribes}
    assert CAMERAS.items() <= heard.items()
    return {**topics, **CAMERAS}


@pytest.mark.parametrize('file', ['monother.rviz', 'adapt.rviz'])
def test_rviz_shows_what_is_published(file):
    layout = yaml.safe_load((CONFIG / file).read_text())['Visualization Manager']
    types = {'rviz_default_plugins/Image': IMAGE, 'rviz_default_plugins/PointCloud2': CLOUD}
    shown, clouds = {}, []
    for display in layout['Displays']:
        assert display['Class'].startswith('rviz_default_plugins/')
        assert display['Enabled'] == display['Value'], display['Name']
        if display['Class'] not in types:
            continue
        # a relative name, so that the layout follows the namespace of its camera
        topic = display['Topic']['Value']
        assert published()[topic] == types[display['Class']], topic
        shown[topic] = display['Class']
        if display.get('Color Transformer') == 'Intensity':
            clouds.append(display)
            assert display['Channel Name'] in CLOUD_FIELDS
    assert {'thermal/image_raw', 'depth/color', 'confidence', 'points', 'mask'} <= set(shown)
    assert [c['Channel Name'] for c in clouds] == ['confidence']


def test_rviz_shows_the_cloud_by_confidence_at_first():
    layout = yaml.safe_load((CONFIG / 'monother.rviz').read_text())['Visualization Manager']
    enabled = {d['Name'] for d in layout['Displays'] if d['Enabled']}
    assert 'Cloud by confidence' in enabled and 'Cloud by depth' not in enabled


def foxglove():
    return json.loads((CONFIG / 'foxglove_layout.json').read_text())


def leaves(layout):
    if isinstance(layout, str):
        return [layout]
    assert layout['direction'] in ('row', 'column') and 0 < layout['splitPercentage'] < 100
    return [*leaves(layout['first']), *leaves(layout['second'])]


def test_foxglove_panels_are_configured_and_placed_once():
    layout = foxglove()
    placed = leaves(layout['layout'])
    assert len(placed) == len(set(placed)) and set(placed) == set(layout['configById'])
    kinds = {name.partition('!')[0] for name in placed}
    assert kinds == {'3D', 'Image', 'Plot', 'DiagnosticSummary', 'DiagnosticStatusPanel'}


def test_foxglove_shows_what_is_published():
    topics = {name if name.startswith('/') else f'/{name}': t for name, t in published().items()}
    fields = {FLOAT: {'data'}, VECTOR: {'vector.x', 'vector.y', 'vector.z'}}
    images = set()
    for name, config in foxglove()['configById'].items():
        for topic, settings in config.get('topics', {}).items():
            assert topics[topic] in (CLOUD, INFO), topic
            if settings.get('colorField'):
                assert settings['colorField'] in CLOUD_FIELDS
        if 'imageMode' in config:
            assert topics[config['imageMode']['imageTopic']] == IMAGE, name
            assert topics[config['imageMode']['calibrationTopic']] == INFO, name
            images.add(config['imageMode']['imageTopic'])
        for path in config.get('paths', []):
            topic, _, field = path['value'].partition('.')
            assert field in fields[topics[topic]], path
            assert re.fullmatch('#[0-9a-f]{6}', path['color'])
        if 'topicToRender' in config:
            assert topics[config['topicToRender']] == DIAGNOSTICS
    assert images == {'/thermal/image_raw', '/depth/image_raw', '/confidence', '/mask'}
    assert foxglove()['configById']['3D!cloud']['topics']['/points']['colorField'] == 'confidence'


def test_foxglove_knows_every_setting():
    """The viewer's own library describes its panels: no setting has a name that it lacks."""
    library = pytest.importorskip('foxglove.layouts', reason='foxglove-sdk is not installed')
    known = {
        '3D': library.ThreeDeeConfig()._to_dict(),
        'Image': library.ImageConfig()._to_dict(),
        'Plot': library.PlotConfig()._to_dict(),
        'DiagnosticSummary': library.DiagnosticsSummaryConfig()._to_dict(),
        'DiagnosticStatusPanel': library.DiagnosticsDetailConfig()._to_dict(),
    }
    inner = {
        'imageMode': library.ImageModeConfig()._to_dict(),
        'cameraState': library.ThreeDeeCameraState()._to_dict(),
        'scene': library.BaseRendererSceneSettings()._to_dict(),
        'paths': library.PlotSeries()._to_dict(),
        'topics': {
            **library.BaseRendererPointCloudTopicSettings()._to_dict(),
            **library.BaseRendererCameraTopicSettings()._to_dict(),
        },
        'layers': {
            **library.BaseRendererGridLayerSettings()._to_dict(),
            **{'instanceId': '', 'label': '', 'frameLocked': True},
        },
    }
    seen = 0
    for name, config in foxglove()['configById'].items():
        assert set(config) <= set(known[name.partition('!')[0]]), name
        for part, allowed in inner.items():
            values = config.get(part, [])
            if part in ('topics', 'layers') and values:
                values = list(values.values())
            for value in values if isinstance(values, list) else [values]:
                assert set(value) <= set(allowed), (name, part, set(value) - set(allowed))
                seen += 1
    assert seen > 10
