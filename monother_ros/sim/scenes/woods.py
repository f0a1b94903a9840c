# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Woods: uneven ground, a path, trunks and crowns, bushes, rocks, fallen logs."""

from __future__ import annotations

import numpy as np

from monother_ros.sim.mesh import (
    Floats,
    MeshBuilder,
    Model,
    Part,
    Shape,
    grid,
    leaves,
    merge,
    tube,
)
from monother_ros.sim.scenes.ground import backdrop, plain
from monother_ros.sim.scenes.objects import any_color, broadleaf, bush, conifer, person, rock
from monother_ros.sim.trajectory import Trajectory, smooth_curve
from monother_ros.sim.world import Mover, Parts

Rng = np.random.Generator
LENGTH = 130.0
STEP = 0.8


class _Terrain:
    """Height of the ground as a sum of waves, smoother near the path."""

    def __init__(self, rng: Rng, path: Floats) -> None:
        length = np.array([60.0, 34.0, 17.0, 8.0, 4.0, 2.2])
        turn = rng.uniform(0, 2 * np.pi, 6)
        self._k = np.stack([np.cos(turn), np.sin(turn)], 1) * (2 * np.pi / length)[:, None]
        self._phase = rng.uniform(0, 2 * np.pi, 6)
        self._height = np.array([1.5, 0.9, 0.35, 0.16, 0.07, 0.03]) * rng.uniform(0.3, 1.3)
        self._path = path[::40, :2]
        self.course = path[::10, :2]

    def to_path(self, xy: Floats) -> Floats:
        """
        Distance of points (N, 2) to the path, (N,) metres.

        The path runs along x, so only its points of about the same x are looked at; farther
        than some 8 m away the result is an upper bound.
        """
        best = np.full(len(xy), np.inf)
        beside = np.searchsorted(self._path[:, 0], xy[:, 0])
        for step in range(-5, 6):
            p = self._path[np.clip(beside + step, 0, len(self._path) - 1)]
            np.minimum(best, (xy[:, 0] - p[:, 0]) ** 2 + (xy[:, 1] - p[:, 1]) ** 2, out=best)
        return np.asarray(np.sqrt(best))

    def at(self, xy: Floats) -> Floats:
        """Height of points (N, 2), (N,) metres."""
        near = np.exp(-((self.to_path(xy) / 2.0) ** 2))
        waves = np.sin(xy @ self._k.T + self._phase) * self._height
        waves[:, 3:] *= (1 - 0.8 * near)[:, None]
        return np.asarray(waves.sum(1) - 0.08 * near)


def _trail(terrain: _Terrain, half: float) -> Shape:
    """Trodden band along the path, with ragged edges, just above the ground."""
    line = terrain.course
    along = np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    left = np.stack([-along[:, 1], along[:, 0]], 1)
    run = np.arange(len(line)) * 0.5
    columns = []
    for share in np.linspace(-1, 1, 9):
        ragged = 1 + 0.16 * np.sin(1.3 * run + 9 * share) + 0.1 * np.sin(3.7 * run - 5 * share)
        columns.append(line + left * (share * half * ragged)[:, None])
    flat = np.stack(columns, 1)
    z = terrain.at(flat.reshape(-1, 2)).reshape(flat.shape[:2]) + 0.02
    return grid(flat[..., 0], flat[..., 1], z)


def _ground(mesh: MeshBuilder, rng: Rng, terrain: _Terrain) -> None:
    x, y = np.meshgrid(
        np.arange(-25.0, LENGTH + 30, STEP), np.arange(-45.0, 45.5, STEP), indexing='ij'
    )
    flat = np.stack([x.ravel(), y.ravel()], 1)
    flat += rng.uniform(-0.2, 0.2, flat.shape) * STEP
    shape = grid(flat[:, 0].reshape(x.shape), flat[:, 1].reshape(x.shape),
                 terrain.at(flat).reshape(x.shape))  # fmt: skip
    centre = shape.vertices[shape.faces].mean(1)[:, :2]
    half = float(rng.uniform(0.7, 1.3))
    patch = np.sin(centre @ rng.normal(0, 0.35, (2, 3)) + rng.uniform(0, 6, 3)).sum(1)
    bare = patch > float(rng.uniform(-0.5, 1.5))
    mesh.add(_trail(terrain, half), 'path', mesh.object(float(rng.normal())))
    for chosen, material in ((bare, 'soil'), (~bare, 'grass')):
        if chosen.any():
            mesh.add(Shape(shape.vertices, shape.faces[chosen]), material,
                     mesh.object(float(rng.normal())))  # fmt: skip


def _tall(rng: Rng, *, bare: bool) -> Model:
    """Forest tree with a long clean trunk."""
    height = float(rng.uniform(11, 19))
    radius = float(rng.uniform(0.10, 0.30))
    bend = np.concatenate([[[0, 0]], rng.normal(0, 0.16, (5, 2)).cumsum(0)])
    z = np.array([-0.6, 0.15, 0.25 * height, 0.5 * height, 0.75 * height, height])
    points = np.concatenate([bend, z[:, None]], 1)
    model: Model = [
        Part('bark', tube(points, radius * np.array([1.7, 1.2, 0.95, 0.75, 0.5, 0.1]), 11))
    ]
    stubs = []
    for _ in range(int(rng.integers(4, 12))):
        level = float(rng.uniform(1.6, height * 0.9))
        turn, out = float(rng.uniform(0, 6.3)), float(rng.uniform(0.4, 2.4))
        middle = np.array([np.interp(level, z, points[:, 0]), np.interp(level, z, points[:, 1])])
        end = middle + out * np.array([np.cos(turn), np.sin(turn)])
        rise = out * float(rng.uniform(-0.2, 0.7))
        line = np.array([[*middle, level], [*((middle + end) / 2), level + rise * 0.35],
                         [*end, level + rise]])  # fmt: skip
        stubs.append(tube(line, np.array([0.05, 0.03, 0.01]) * (0.6 + radius * 3), 5))
    model.append(Part('bark', merge(stubs)))
    if not bare:
        n = 520
        centres = rng.normal(0, 1, (n, 3)) * [1.7, 1.7, height * 0.16]
        centres += [points[4, 0], points[4, 1], height * 0.80]
        centres[:, 2] = np.maximum(centres[:, 2], height * 0.35)
        model.append(Part('foliage', leaves(centres, 0.5, rng)))
    return model


def _vegetation(mesh: MeshBuilder, rng: Rng, terrain: _Terrain) -> None:
    bare = rng.random() < 0.25
    kinds = [_tall(rng, bare=bare) for _ in range(6)]
    kinds += [broadleaf(rng, bare=bare, detail=800), conifer(rng, detail=700), conifer(rng)]
    weight = rng.dirichlet(np.full(len(kinds), 0.8))
    count = int(rng.integers(130, 420))
    spots = np.stack([rng.uniform(-22, LENGTH + 26, count), rng.uniform(-42, 42, count)], 1)
    # more of them near the path, where the camera sees single trunks
    close = rng.random(count) < 0.35
    spots[close, 1] = np.interp(
        spots[close, 0], terrain._path[:, 0], terrain._path[:, 1]
    ) + rng.normal(0, 7, int(close.sum()))
    away = terrain.to_path(spots)
    clear = away > float(rng.uniform(1.3, 2.2))
    spots, away = spots[clear], away[clear]
    heights = terrain.at(spots)
    for (x, y), z, gap in zip(spots, heights, away, strict=True):
        which = int(rng.choice(len(kinds), p=weight))
        model = kinds[which % 6 if gap < 3.5 else which]
        wide = float(rng.uniform(0.6, 1.5))
        mesh.place(model, (float(x), float(y), float(z) - 0.1), yaw=float(rng.uniform(0, 6.3)),
                   scale=(wide, wide, float(rng.uniform(0.75, 1.2))),
                   instance=mesh.object(float(rng.normal()), any_color(rng)))  # fmt: skip
    _undergrowth(mesh, rng, terrain)


def _undergrowth(mesh: MeshBuilder, rng: Rng, terrain: _Terrain) -> None:
    shrubs, stones = [bush(rng) for _ in range(4)], [rock(rng) for _ in range(4)]
    for models, count, clear, size in (
        (shrubs, int(rng.integers(20, 140)), 1.2, (0.3, 1.7)),
        (stones, int(rng.integers(5, 50)), 1.0, (0.2, 1.8)),
    ):
        x = rng.uniform(-10, LENGTH + 15, count)
        near = np.interp(x, terrain._path[:, 0], terrain._path[:, 1])
        spots = np.stack([x, near + rng.normal(0, 10, count)], 1)
        spots = spots[terrain.to_path(spots) > clear]
        for (px, py), z in zip(spots, terrain.at(spots), strict=True):
            scale = float(rng.uniform(*size))
            if scale > 1.0 and float(terrain.to_path(np.array([[px, py]]))[0]) < 2.0:
                scale *= 0.5
            mesh.place(models[int(rng.integers(4))], (float(px), float(py), float(z) - 0.05),
                       yaw=float(rng.uniform(0, 6.3)), scale=scale,
                       instance=mesh.object(float(rng.normal()), any_color(rng)))  # fmt: skip
    for _ in range(int(rng.integers(0, 9))):
        at = float(rng.uniform(0, LENGTH))
        spot = np.array([[at, float(np.interp(at, terrain._path[:, 0], terrain._path[:, 1]))]])
        spot[0, 1] += float(rng.choice([-1, 1])) * float(rng.uniform(3.5, 10))
        turn, long = float(rng.uniform(0, 6.3)), float(rng.uniform(1, 3.0))
        ends = spot + np.outer([-long, 0, long], [np.cos(turn), np.sin(turn)])
        radius = float(rng.uniform(0.1, 0.32))
        line = np.concatenate([ends, terrain.at(ends)[:, None] + radius * 0.7], 1)
        mesh.add(tube(line, radius * np.array([1.1, 1.0, 0.85]), 10), 'bark',
                 mesh.object(float(rng.normal())))  # fmt: skip
    n = int(rng.integers(5000, 16000))
    x = rng.uniform(-5, LENGTH + 5, n)
    spots = np.stack([x, np.interp(x, terrain._path[:, 0], terrain._path[:, 1])], 1)
    spots[:, 1] += rng.normal(0, 5, n)
    spots = spots[terrain.to_path(spots) > 0.8]
    blades = np.concatenate([spots, terrain.at(spots)[:, None] + 0.03], 1)
    edge = float(rng.uniform(0.06, 0.16))
    mesh.add(leaves(blades, edge, rng, upright=0.6), 'grass', mesh.object(float(rng.normal())))


def build(rng: Rng, movers: bool) -> Parts:
    """
    Lay out woods.

    :param rng: source of the layout.
    :param movers: whether people move.
    """
    mesh = MeshBuilder()
    x = np.arange(-20.0, LENGTH + 20.1, 10.0)
    course = np.zeros((len(x), 3))
    course[:, 0] = x
    course[:, 1] = 5.0 * np.sin(x / float(rng.uniform(9, 22)) + float(rng.uniform(0, 6)))
    course[:, 1] += rng.normal(0, 0.8, len(x))
    fine = smooth_curve(course)
    terrain = _Terrain(rng, fine)
    _ground(mesh, rng, terrain)
    _vegetation(mesh, rng, terrain)
    walking = []
    for k in range(int(rng.integers(0, 5))):
        instance = mesh.object(float(rng.normal()), any_color(rng))
        stride = bool(rng.random() < 0.6)
        model = person(rng, walking=stride)
        start = int(rng.uniform(0.1, 0.8) * len(fine))
        shift = np.array([0, float(rng.choice([-1, 1])) * float(rng.uniform(0.7, 4.0)), 0])
        line = fine[start : start + 500 : 20] + shift
        line[:, 2] = terrain.at(line[:, :2])
        if movers and stride and len(line) > 5:
            own = MeshBuilder()
            own.place(model, (0, 0, 0), instance=instance)
            track = Trajectory(line[:: 1 if k % 2 else -1], 1.2, rng, shake=0.0)
            walking.append(Mover(own.build(), track, float(rng.uniform(0, 20)), 1.4))
        else:
            mesh.place(model, line[0], yaw=float(rng.uniform(0, 6.3)), instance=instance)
    centre = np.array([LENGTH / 2, 0.0, 0.0])
    plain(mesh, centre, 320.0, -6.0, 'grass')
    low = float(rng.uniform(6, 14))
    backdrop(mesh, rng, centre, 125.0, (low, low + float(rng.uniform(8, 25))))
    inner = fine[(fine[:, 0] > 0) & (fine[:, 0] < LENGTH - 25)][::40]
    inner[:, 2] = terrain.at(inner[:, :2])
    return Parts(
        scene=mesh.build(),
        deltas=np.array(mesh.deltas, np.float32),
        colors=np.array(mesh.colors, np.float32),
        path=inner,
        speed=float(rng.uniform(1.0, 2.2)),
        movers=tuple(walking),
        lights=np.zeros((0, 7), np.float32),
        indoor=False,
        sway=0.6,
    )
