# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from monother_ros.core.errors import SimulationError
from monother_ros.sim.materials import MATERIAL_INDEX, MATERIALS, SKY, lookup, table
from monother_ros.sim.mesh import box, cylinder, prism, tube
from monother_ros.sim.scenes import SCENES, build_scene
from monother_ros.sim.simulator import SimConfig, Simulator
from monother_ros.sim.trajectory import Trajectory, smooth_curve


def volume(shape):
    """Signed volume inside of a closed surface: positive if its faces look outwards."""
    a, b, c = (shape.vertices[shape.faces[:, i]] for i in range(3))
    return float(np.einsum('ij,ij->i', a, np.cross(b, c)).sum() / 6)


def test_shapes_are_closed_and_of_the_right_size():
    assert volume(box((2, 3, 4), (5, 6, 7))) == pytest.approx(24)
    wedge = np.array([[0.0, 0], [2, 0], [0, 1]])
    assert abs(volume(prism(wedge, 3.0))) == pytest.approx(3.0)
    round_ = abs(volume(cylinder(1.0, 2.0, sides=64)))
    assert round_ == pytest.approx(2 * np.pi, rel=0.01)
    pipe = tube(np.array([[0.0, 0, 0], [0, 5, 0]]), np.full(2, 0.5), 64)
    assert abs(volume(pipe)) == pytest.approx(5 * np.pi / 4, rel=0.01)


def test_materials_are_within_physics():
    assert len(MATERIALS) < SKY
    assert len(MATERIAL_INDEX) == len(MATERIALS)
    for m in MATERIALS:
        assert 0.2 < m.emissivity < 1
        assert 0 <= m.gloss <= 1
        assert 0 <= m.hold < 1
        assert all(0 <= c <= 1 for c in m.color)
    index = np.array([[0, 5], [SKY, 7]], np.uint8)
    values = table('emissivity')
    np.testing.assert_array_equal(lookup(values, index), values[index])
    assert values[SKY] == 0


def test_curve_passes_its_points_at_an_even_pace():
    points = np.array([[0.0, 0, 0], [10, 0, 0], [15, 8, 1], [30, 8, 0]])
    line = smooth_curve(points)
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
    assert steps.std() / steps.mean() < 0.02
    for p in points:
        assert np.linalg.norm(line - p, axis=1).min() < 0.05


def test_motion_is_smooth_and_goes_on_beyond_the_end():
    way = Trajectory(np.array([[0.0, 0, 0], [20, 0, 0]]), 2.0, np.random.default_rng(0))
    assert way.duration == pytest.approx(10.0, rel=0.01)
    poses = np.stack([way.pose(t) for t in np.arange(0, 25, 0.05)])
    assert np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1).max() < 0.2
    np.testing.assert_allclose(
        poses[:, :3, :3] @ poses[:, :3, :3].transpose(0, 2, 1), np.tile(np.eye(3), (500, 1, 1)),
        atol=1e-9,
    )  # fmt: skip
    assert poses[:, 0, 3].min() > -0.5
    assert poses[:, 0, 3].max() < 20.5


@pytest.mark.parametrize('name', SCENES)
def test_scene_is_plausible_from_the_path(name):
    sky, near, kinds = [], [], set()
    for seed in (21, 22):
        sim = Simulator(SimConfig(name, seed=seed, width=80, height=64))
        assert sim.world.deltas.shape[0] == sim.world.colors.shape[0] > 10
        for t in np.linspace(0, sim.duration, 7):
            pose = sim.world.trajectory.pose(t) @ sim.rig.base_from_thermal
            hits = sim.world.see(sim._thermal_rays, pose, t)
            sky.append(hits.sky.mean())
            near.append(np.nanmin(hits.depth))
            kinds |= set(np.unique(hits.material).tolist())
            assert hits.instance.max() < len(sim.world.deltas)
            # the ground lies below the camera at the rig's height
            bottom = hits.depth[-1]
            assert np.median(bottom[np.isfinite(bottom)]) < 6.0
    assert np.quantile(near, 0.2) > 0.3
    assert len(kinds - {SKY}) >= 6
    if name == 'corridor':
        assert max(sky) == 0
    else:
        assert 0.02 < np.mean(sky) < 0.6


@pytest.mark.parametrize('name', SCENES)
def test_layouts_differ_with_the_seed_and_repeat_with_it(name):
    first, again = (build_scene(name, np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(first.scene.vertices, again.scene.vertices)
    np.testing.assert_array_equal(first.path, again.path)
    other = build_scene(name, np.random.default_rng(5))
    assert first.scene.vertices.shape != other.scene.vertices.shape


def test_standing_scene_has_no_movers():
    assert build_scene('street', np.random.default_rng(1), movers=False).movers == ()
    assert len(build_scene('street', np.random.default_rng(1)).movers) >= 1


def test_unknown_scene_is_refused():
    with pytest.raises(SimulationError, match='moon'):
        build_scene('moon', np.random.default_rng(0))
