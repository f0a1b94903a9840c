# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several cameras of one launch file: namespaces, topics and folders."""

from __future__ import annotations

import pytest

from monother_ros.core.errors import SettingsError
from monother_ros.ros.cameras import Camera, cameras


def test_one_camera_without_a_name():
    assert cameras('robot', '', {'thermal_image': '/boson/image_raw'}) == [Camera('', 'robot')]
    camera = cameras('', ' , ', {})[0]
    assert camera.filled('/boson/image_raw') == '/boson/image_raw'
    assert camera.folder('/data/revisions') == '/data/revisions'


def test_each_camera_has_namespace_topics_and_folders_of_its_own():
    topics = {'thermal_image': '/{camera}/image_raw', 'depth_image': 'depth/image_raw'}
    found = cameras('robot/', 'front, rear_2', topics)
    assert [c.namespace for c in found] == ['robot/front', 'robot/rear_2']
    assert [c.filled(topics['thermal_image']) for c in found] == [
        '/front/image_raw',
        '/rear_2/image_raw',
    ]
    assert found[0].folder('/data/') == '/data/front'
    assert found[0].folder('/{camera}/data') == '/front/data'
    assert found[0].folder('') == ''


@pytest.mark.parametrize(
    ('names', 'topics', 'words'),
    [
        ('front,rear', {'thermal_image': '/boson/image_raw'}, 'thermal_image:=/boson/image_raw'),
        ('front,front', {}, 'twice'),
        ('front,re ar', {}, "'re ar' cannot be the name"),
        ('1st', {}, 'the first one is a letter'),
        ('frönt', {}, 'cannot be the name'),
        ('a/b', {}, 'cannot be the name'),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(names, topics, words):
    with pytest.raises(SettingsError, match=words):
        cameras('', names, topics)


def test_place_needs_a_name():
    with pytest.raises(SettingsError, match='no cameras are named'):
        cameras('', '', {})[0].filled('/{camera}/image_raw')
