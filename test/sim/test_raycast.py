# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import SimulationError
from monother_ros.sim.materials import MATERIAL_INDEX, SKY
from monother_ros.sim.mesh import MeshBuilder, ball, box, grid
from monother_ros.sim.raycast import CameraRays, RayScene
from monother_ros.sim.rig import OPTICAL, rotation, transform
from monother_ros.sim.simulator import SimConfig, Simulator
from monother_ros.sim.trajectory import Trajectory
from monother_ros.sim.weather import make_weather
from monother_ros.sim.world import Mover, Parts, World

CAMERA = Intrinsics(160, 128, 130, 131, 81.0, 62.5, distortion=(-0.25, 0.075, 1e-3, -5e-4, 0.0))
LEVEL = transform(OPTICAL, (0.0, 0.0, 1.2))


def world_of(mesh, *, movers=(), time_of_day='day', indoor=False):
    parts = Parts(
        scene=mesh.build(),
        deltas=np.array(mesh.deltas, np.float32),
        colors=np.array(mesh.colors, np.float32),
        path=np.array([[0.0, 0, 0], [10, 0, 0]]),
        speed=1.0,
        movers=movers,
        lights=np.zeros((0, 7), np.float32),
        indoor=indoor,
        sway=0.0,
    )
    weather = make_weather(time_of_day, 'clear', np.random.default_rng(1), indoor=indoor)
    return World('test', parts, weather, np.random.default_rng(0))


def floor(size=200.0, z=0.0):
    x, y = np.meshgrid([-size, size], [-size, size], indexing='ij')
    return grid(x, y, np.full_like(x, z))


def test_depth_of_a_plane_through_a_distorted_lens_is_exact():
    mesh = MeshBuilder()
    mesh.add(floor(), 'asphalt')
    pose = transform(rotation(0.3, 0.12, -0.05) @ OPTICAL, (2.0, -1.0, 1.3))
    hits = world_of(mesh).see(CameraRays(CAMERA), pose, 0.0)
    # a pixel's ray p(s) = o + s (R r), r = (x/z, y/z, 1), meets z = 0 where s is the depth
    rays = np.concatenate([CAMERA.rays(), np.ones((128, 160, 1), np.float32)], -1)
    down = (rays @ pose[:3, :3].T)[..., 2]
    expected = np.where(down < 0, -1.3 / np.where(down < 0, down, -1), np.inf)
    near = (expected < 100) & (down < -0.01)
    assert near.sum() > 5000
    np.testing.assert_allclose(hits.depth[near], expected[near], rtol=2e-5)
    assert np.isinf(hits.depth[down > 0]).all()
    assert (hits.material[down > 0] == SKY).all()


def test_points_project_back_to_their_own_pixels():
    mesh = MeshBuilder()
    mesh.add(floor(), 'asphalt')
    mesh.add(ball((1.0, 1.0, 1.0), (6.0, 0.5, 1.0), 40, 60), 'rock', mesh.object())
    hits = world_of(mesh).see(CameraRays(CAMERA), LEVEL, 0.0)
    near = hits.depth < 50
    inverse = np.linalg.inv(LEVEL)
    points = hits.point[near].astype(np.float64) @ inverse[:3, :3].T + inverse[:3, 3]
    np.testing.assert_allclose(points[:, 2], hits.depth[near], rtol=1e-4)
    v, u = np.nonzero(near)
    np.testing.assert_allclose(CAMERA.project(points), np.stack([u, v], 1), atol=0.05)


def test_depth_and_normal_of_a_sphere():
    mesh = MeshBuilder()
    mesh.add(ball((1.5, 1.5, 1.5), (8.0, 0.0, 1.2), 120, 160), 'rock', mesh.object())
    hits = world_of(mesh).see(CameraRays(CAMERA), LEVEL, 0.0)
    direction = hits.direction.astype(np.float64)
    centre = np.array([8.0, 0, 0])
    along = direction @ centre
    inside = 1.5**2 - (centre @ centre - along**2)
    safe = inside > 0.15
    assert safe.sum() > 500
    expected = along - np.sqrt(np.maximum(inside, 0))
    np.testing.assert_allclose(hits.distance[safe], expected[safe], atol=3e-3)
    outward = (hits.point[safe] - [8.0, 0, 1.2]) / 1.5
    assert (np.einsum('ij,ij->i', outward, hits.normal[safe]) > 0.995).all()
    assert np.isinf(hits.depth[inside < -0.15]).all()


def test_normals_look_at_the_camera_from_both_sides_of_a_sheet():
    mesh = MeshBuilder()
    mesh.add(box((0.5, 40, 40), (5.0, 0, -20)), 'brick', mesh.object())
    world = world_of(mesh)
    for x in (0.0, 10.0):
        turn = rotation(0.0 if x == 0 else np.pi, 0, 0)
        hits = world.see(CameraRays(CAMERA), transform(turn @ OPTICAL, (x, 0, 1)), 0.0)
        assert (np.einsum('ijk,ijk->ij', hits.normal, hits.direction) < 0).all()
        assert (hits.material == MATERIAL_INDEX['brick']).all()


def test_moving_object_covers_and_is_covered():
    mesh = MeshBuilder()
    mesh.add(box((0.2, 60, 60), (20.0, 0, -30)), 'brick', mesh.object())
    mesh.add(box((0.2, 0.6, 3), (5.0, -2.0, 0)), 'steel', mesh.object())
    own = MeshBuilder()
    own.add(box((1.0, 1.0, 2.0)), 'cloth', 7)
    line = Trajectory(
        np.array([[10.0, -4, 0], [10, 4, 0]]), 1.0, np.random.default_rng(0), shake=0
    )
    world = world_of(mesh, movers=(Mover(own.build(), line, 0.0, 1.5),))
    rays = CameraRays(CAMERA)
    cloth = MATERIAL_INDEX['cloth']
    early, late = world.see(rays, LEVEL, 1.0), world.see(rays, LEVEL, 6.0)
    for hits in (early, late):
        chosen = hits.material == cloth
        assert chosen.sum() > 30
        assert np.abs(hits.depth[chosen] - 9.5).max() < 1.05
        assert (hits.instance[chosen] == 7).all()
    # it went from right to left
    columns = [np.nonzero(h.material == cloth)[1].mean() for h in (early, late)]
    assert columns[0] > columns[1] + 30
    assert (early.material == MATERIAL_INDEX['steel']).sum() > 20
    behind = world.see(rays, LEVEL, 0.0).material == cloth
    assert behind.sum() < (late.material == cloth).sum()


def test_shadow_falls_away_from_the_sun():
    mesh = MeshBuilder()
    mesh.add(floor(), 'asphalt')
    mesh.add(box((2, 2, 3), (0, 0, 2)), 'brick', mesh.object())
    world = world_of(mesh)
    sun = np.array(world.weather.sun)
    hits = world.see(CameraRays(CAMERA), transform(rotation(0, np.pi / 2, 0) @ OPTICAL,
                                                   (0, 0, 30.0)), 0.0)  # fmt: skip
    lit = world.sunlit(hits, step=1)
    centre = -sun[:2] / sun[2] * 3.5
    shade, light = (
        (np.linalg.norm(hits.point[..., :2] - at, axis=-1) < 0.6) & (hits.point[..., 2] < 0.1)
        for at in (centre, -centre)
    )
    assert min(shade.sum(), light.sum()) > 3
    assert lit[shade].max() == 0
    assert lit[light].min() == 1
    assert (lit[hits.material == MATERIAL_INDEX['brick']] == 1).all()
    night = world_of(mesh, time_of_day='night')
    assert not night.sunlit(night.see(CameraRays(CAMERA), LEVEL, 0.0)).any()


def test_empty_mesh_and_bad_distortion_are_refused():
    with pytest.raises(SimulationError, match='without triangles'):
        MeshBuilder().build()
    with pytest.raises(SimulationError, match='distortion'):
        CameraRays(Intrinsics(32, 26, 20, 20, 16, 13, distortion=(-0.6, 0.0, 0, 0, 0)))


def test_cast_reports_misses_as_infinite():
    scene = RayScene(
        np.array([[5.0, -1, -1], [5, 1, -1], [5, 0, 1]]), np.array([[0, 1, 2]]),
        np.array([3]), np.array([4])
    )  # fmt: skip
    directions = np.array([[1, 0, 0], [-1, 0, 0]], np.float32)
    distance, face = scene.cast(np.zeros((2, 3), np.float32), directions)
    normal, material, instance = scene.attributes(face, directions)
    assert distance[0] == pytest.approx(5.0)
    assert np.isinf(distance[1])
    assert material.tolist() == [3, SKY]
    assert instance.tolist() == [4, 0]
    assert normal[0].tolist() == [-1, 0, 0]
    assert not normal[1].any()
    assert scene.occluded(np.zeros((2, 3), np.float32), directions).tolist() == [True, False]


def test_trimesh_finds_the_same_surfaces():
    """An independent ray caster (trimesh) is the referee of a whole scene."""
    trimesh = pytest.importorskip('trimesh')
    triangle = pytest.importorskip('trimesh.ray.ray_triangle', reason='needs rtree')
    pytest.importorskip('rtree')
    scene = Simulator(SimConfig(scene='street', seed=11)).world.scene
    mesh = trimesh.Trimesh(scene.vertices, scene.faces, process=False)
    random = np.random.default_rng(5)
    directions = random.normal(size=(60, 3)).astype(np.float32)
    directions[:, 2] *= 0.15
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    origins = np.tile(np.float32([0.0, 0.0, 1.2]), (60, 1))
    distance, face = scene.cast(origins, directions)
    points, ray, _ = triangle.RayMeshIntersector(mesh).intersects_location(
        origins.astype(np.float64), directions.astype(np.float64), multiple_hits=True
    )
    expected = np.full(60, np.inf)
    np.minimum.at(expected, ray, np.linalg.norm(points - origins[ray], axis=1))
    assert np.isfinite(expected).sum() > 20
    np.testing.assert_array_equal(np.isfinite(distance), np.isfinite(expected))
    hit = face >= 0
    np.testing.assert_allclose(distance[hit], expected[hit], rtol=1e-4)
