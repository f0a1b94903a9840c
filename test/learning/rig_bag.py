# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bag of a rig with known geometry, written with rosbags alone: a wall and a LiDAR above."""

from __future__ import annotations

import numpy as np

from monother_ros.core.camera import Intrinsics
from monother_ros.ros.newbag import new_bag, offered_qos
from monother_ros.sim import messages
from monother_ros.sim.messages import STORE

START = 1_700_000_000_000_000_000
MS = 1_000_000
IMAGE = 'sensor_msgs/msg/Image'
TF = 'tf2_msgs/msg/TFMessage'

THERMAL = Intrinsics(80, 64, 70.0, 69.0, 40.3, 31.1, 'plumb_bob', (-0.3, 0.09, 1e-3, -5e-4, 0.0))
RGB = Intrinsics(120, 72, 100.0, 101.0, 58.2, 36.9, 'plumb_bob', (-0.1, 0.02, 0.0, 0.0, 0.0))
TURN = (0.01, -0.02, 0.015, 0.9996)
SHIFT = (-0.15, 0.02, 0.01)
"""X_rgb = T X_thermal as quaternion and metres."""
NORMAL, DISTANCE = np.array([0.2, 0.1, 1.0]), 6.0
"""The wall: NORMAL . X = DISTANCE in the thermal optical frame."""


def pose_of(turn, shift):
    """4x4 of a quaternion x, y, z, w and metres."""
    q = np.array(turn) / np.linalg.norm(turn)
    v, w = q[:3], q[3]
    cross = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    pose = np.eye(4)
    pose[:3, :3] = np.eye(3) + 2 * w * cross + 2 * cross @ cross
    pose[:3, 3] = shift
    return pose


EXTRINSICS = pose_of(TURN, SHIFT)
# the LiDAR stands above the thermal camera and looks the same way: x forward, y left, z up
LIDAR = np.eye(4)
LIDAR[:3, :3] = [[0, -1, 0], [0, 0, -1], [1, 0, 0]]
LIDAR[:3, 3] = 0.0, -0.4, 0.0
"""X_thermal = T X_lidar."""


def thermal_picture(index, size=(64, 80)):
    """Counts with edges and noise, another picture for every index."""
    rng = np.random.default_rng([4, index])
    v, u = np.mgrid[0 : size[0], 0 : size[1]]
    blocks = 500 * ((u // 9 + v // 7 + index) % 2) + 6 * u + 3 * v
    return (3000 + blocks + rng.normal(0, 3, size)).astype(np.uint16)


def rgb_picture(index, size=(72, 120)):
    v, u = np.mgrid[0 : size[0], 0 : size[1]]
    return np.stack([u * 2, v * 3, (u + v + index) % 256], -1).astype(np.uint8)


def wall_points(step=0.03):
    """Points of the wall, and of a plate of 0.5 m before it, in the LiDAR's frame, (N, 4)."""
    x, y = np.meshgrid(np.arange(-5, 5, step), np.arange(-4, 4, step))
    wall = np.stack([x, y, (DISTANCE - NORMAL[0] * x - NORMAL[1] * y) / NORMAL[2]], -1)
    x, y = np.meshgrid(np.arange(-0.25, 0.25, step / 2), np.arange(-0.25, 0.25, step / 2))
    plate = np.stack([x, y, np.full_like(x, 2.0)], -1)
    points = np.concatenate([wall.reshape(-1, 3), plate.reshape(-1, 3)])
    back = np.linalg.inv(LIDAR)
    points = points @ back[:3, :3].T + back[:3, 3]
    return np.concatenate([points, np.ones((len(points), 1))], 1).astype(np.float32)


def wall_depth(camera, pose):
    """Z of the wall along the rays of a camera; pose moves thermal points into it."""
    rays = camera.rays().astype(np.float64)
    rays = np.concatenate([rays, np.ones((*rays.shape[:2], 1))], -1)
    back = np.linalg.inv(pose)
    # n . (R' z ray + t') = d
    return (DISTANCE - NORMAL @ back[:3, 3]) / (rays @ back[:3, :3].T @ NORMAL)


def transforms(*links):
    """TFMessage of (parent, child, quaternion, metres)."""
    new = STORE.types
    items = [
        new['geometry_msgs/msg/TransformStamped'](
            header=messages._header(START, parent),
            child_frame_id=child,
            transform=new['geometry_msgs/msg/Transform'](
                translation=new['geometry_msgs/msg/Vector3'](*shift),
                rotation=new['geometry_msgs/msg/Quaternion'](*turn),
            ),
        )
        for parent, child, turn, shift in links
    ]
    return bytes(STORE.serialize_cdr(new[TF](transforms=items), TF))


LINKS = (
    ('rgb_optical', 'thermal_optical', TURN, SHIFT),
    ('thermal_optical', 'lidar', messages.quaternion(LIDAR[:3, :3]), (0.0, -0.4, 0.0)),
)


def write_rig_bag(
    path,
    thermal=range(0, 1000, 100),
    rgb=range(3, 1003, 100),
    pictures=None,
    links=LINKS,
    infos=(THERMAL, RGB),
    cloud=True,
    depth=False,
    extra=(),
):
    """
    Write a bag.

    :param thermal: stamps of the thermal images in ms.
    :param rgb: of the RGB images.
    :param pictures: thermal picture of each frame, by index.
    :param extra: more (stamp in ns, topic, type, bytes).
    """
    info = 'sensor_msgs/msg/CameraInfo'
    records = [(START, '/tf_static', TF, transforms(*links))] if links else []
    for topic, camera, frame in (
        ('/ir/camera_info', infos[0], 'thermal_optical'),
        ('/cam/camera_info', infos[1], 'rgb_optical'),
    ):
        if camera is not None:
            records.append((START, topic, info, messages.camera_info(camera, START, frame)))
    for k, ms in enumerate(thermal):
        stamp = START + ms * MS
        counts = thermal_picture(k) if pictures is None else pictures[k]
        data = messages.image(counts, 'mono16', stamp, 'thermal_optical')
        records.append((stamp, '/ir/image', IMAGE, data))
    for k, ms in enumerate(rgb):
        stamp = START + ms * MS
        data = messages.image(rgb_picture(k), 'rgb8', stamp, 'rgb_optical')
        records.append((stamp, '/cam/image', IMAGE, data))
        if depth:
            metres = wall_depth(RGB, EXTRINSICS)
            data = messages.image(
                np.rint(metres * 1000).astype(np.uint16), '16UC1', stamp, 'rgb_optical'
            )
            records.append((stamp, '/cam/depth', IMAGE, data))
    if cloud:
        for ms in (0, 500):
            stamp = START + (ms + 1) * MS
            data = messages.cloud(wall_points(), stamp, 'lidar')
            records.append((stamp, '/points', 'sensor_msgs/msg/PointCloud2', data))
    records += extra
    with new_bag(path) as writer:
        connections = {}
        for stamp, topic, kind, data in sorted(records, key=lambda r: r[0]):
            if topic not in connections:
                connections[topic] = writer.add_connection(
                    topic, kind, typestore=STORE, offered_qos_profiles=[offered_qos(depth=10)]
                )
            writer.write(connections[topic], stamp, data)
    return path


TOPICS = {
    'thermal': '/ir/image',
    'rgb': '/cam/image',
    'thermal_info': '/ir/camera_info',
    'rgb_info': '/cam/camera_info',
}
