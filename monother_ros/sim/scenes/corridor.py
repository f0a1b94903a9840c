# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A corridor inside a building: turns, niches, doors, pipes, lamps, things left about, people."""

from __future__ import annotations

import itertools

import numpy as np

from monother_ros.sim.mesh import Floats, MeshBuilder, Shape, box, boxes, cylinder, grid, tube
from monother_ros.sim.scenes.objects import any_color, bin_, pallet, person
from monother_ros.sim.trajectory import Trajectory
from monother_ros.sim.world import Mover, Parts

Rng = np.random.Generator
CELL = 0.25
"""Edge of a floor plan cell, m."""


class _Plan:
    """Floor plan on a grid of cells; True where one can stand."""

    def __init__(self, size: float = 130.0) -> None:
        self._origin = np.array([-12.0, -size / 2])
        self.free = np.zeros((int(size / CELL), int(size / CELL)), bool)

    def _cells(self, low: Floats, high: Floats) -> tuple[slice, slice]:
        a = np.clip(np.rint((low - self._origin) / CELL).astype(int), 1, len(self.free) - 2)
        b = np.clip(np.rint((high - self._origin) / CELL).astype(int), 1, len(self.free) - 2)
        return slice(a[0], max(b[0], a[0] + 1)), slice(a[1], max(b[1], a[1] + 1))

    def open(self, low: Floats, high: Floats) -> None:
        """Make a rectangle free."""
        self.free[self._cells(np.minimum(low, high), np.maximum(low, high))] = True

    def solid(self, low: Floats, high: Floats) -> bool:
        """Whether a whole rectangle is wall."""
        return not self.free[self._cells(np.minimum(low, high), np.maximum(low, high))].any()

    def walls(self, height: float) -> tuple[Shape, Floats]:
        """Wall faces along the edges of the free cells; also their feet, (N, 4) x0 y0 x1 y1."""
        feet = []
        for axis in (0, 1):
            plan = self.free if axis == 0 else self.free.T
            change = plan[1:] != plan[:-1]
            for i in np.flatnonzero(change.any(1)):
                row = np.concatenate([[False], change[i], [False]])
                edges = np.flatnonzero(row[1:] != row[:-1])
                for start, end in edges.reshape(-1, 2):
                    a, b = (i + 1, start), (i + 1, end)
                    feet.append([*a, *b] if axis == 0 else [*a[::-1], *b[::-1]])
        line = np.array(feet, np.float64) * CELL + np.tile(self._origin, 2)
        n = len(line)
        v = np.zeros((n, 4, 3))
        v[:, 0, :2] = v[:, 3, :2] = line[:, :2]
        v[:, 1, :2] = v[:, 2, :2] = line[:, 2:]
        v[:, 2:, 2] = height
        faces = np.array([[0, 1, 2], [0, 2, 3]])[None] + 4 * np.arange(n)[:, None, None]
        return Shape(v.reshape(-1, 3), faces.reshape(-1, 3)), line

    def slab(self, z: float) -> Shape:
        """Floor or ceiling over everything."""
        end = self._origin + np.array(self.free.shape) * CELL
        x, y = np.meshgrid(
            np.linspace(self._origin[0], end[0], 25),
            np.linspace(self._origin[1], end[1], 25),
            indexing='ij',
        )
        return grid(x, y, np.full_like(x, z))


def _dress_wall(
    mesh: MeshBuilder, rng: Rng, plan: _Plan, a: Floats, b: Floats, half: float
) -> None:
    """Doors, radiators, cabinets, boxes and smaller things along both walls of one leg."""
    along = (b - a) / np.linalg.norm(b - a)
    left = np.array([-along[1], along[0]])
    length = float(np.linalg.norm(b - a))
    frame, panel = mesh.object(float(rng.normal())), any_color(rng)
    for sign in (-1.0, 1.0):
        s = float(rng.uniform(1.0, 3.0))
        while s < length - 1.0:
            wall = a + along * s + left * sign * half
            span = along * 0.75
            clear = plan.solid(wall - span + left * sign * 0.06, wall + span + left * sign * 0.5)
            yaw = float(np.arctan2(along[1], along[0])) + (0.0 if sign > 0 else np.pi)
            foot = np.array([*wall, 0.0])
            kind = rng.random()
            who = mesh.object(float(rng.normal()), any_color(rng))
            if clear and kind < 0.40:
                door = mesh.object(float(rng.normal()), panel)
                wide = float(rng.choice([0.9, 0.95, 1.5]))
                mesh.add(
                    box((wide + 0.16, 0.16, 2.12)).moved(foot, yaw=yaw), 'window_frame', frame
                )
                mesh.add(box((wide, 0.2, 2.03)).moved(foot, yaw=yaw), 'door', door)
                if rng.random() < 0.3:
                    mesh.add(box((0.25, 0.23, 0.9), (0.1, 0, 0.95)).moved(foot, yaw=yaw), 'glass',
                             who)  # fmt: skip
            elif clear and kind < 0.50:
                ribs = np.linspace(-0.55, 0.55, 12)
                spots = np.stack([ribs, np.full(12, -0.08), np.full(12, 0.15)], 1)
                mesh.add(boxes(np.tile([0.07, 0.1, 0.6], (12, 1)), spots).moved(foot, yaw=yaw),
                         'radiator', who)  # fmt: skip
            elif clear and kind < 0.60:
                size = (float(rng.uniform(0.5, 1.3)), 0.9, float(rng.uniform(0.8, 2.0)))
                if half > 0.9:
                    mesh.add(box(size).moved(foot, yaw=yaw), 'cabinet', who)
            elif clear and kind < 0.68:
                mesh.add(box((0.9, 0.1, 0.6), (0, 0, 1.3)).moved(foot, yaw=yaw), 'sign', who)
            elif clear and kind < 0.74:
                tank = cylinder(0.09, 0.5, (0, -0.14, 0.8), 9).moved(foot, yaw=yaw)
                mesh.add(tank, 'plastic', mesh.object(float(rng.normal()), (3.0, 0.25, 0.15)))
            elif clear and kind < 0.78 and half > 1.05:
                mesh.add(box((1.0, 1.3, 1.85)).moved(foot, yaw=yaw), 'machine', who)
            elif clear and kind < 0.82:
                mesh.add(box((1.4, 0.12, 1.1), (0, 0, 1.0)).moved(foot, yaw=yaw), 'glass', who)
            elif kind < 0.95 and half > 0.85:
                edges = rng.uniform(0.25, 0.55, 3)
                inner = np.array([*(wall - left * sign * (edges[1] / 2 + 0.05)), 0.0])
                for k in range(int(rng.integers(1, 4))):
                    low = np.array([0, 0, k * edges[2]])
                    crate = box((float(edges[0]), float(edges[1]), float(edges[2])))
                    mesh.add(crate.moved(inner + low, yaw=yaw + float(rng.normal(0, 0.1))),
                             'cardboard', who)  # fmt: skip
            elif half > 1.0:
                inner = np.array([*(wall - left * sign * 0.4), 0.0])
                model = bin_(rng) if rng.random() < 0.5 else pallet(rng)
                mesh.place(model, inner, yaw=yaw, instance=who, scale=0.8)
            s += float(rng.uniform(1.4, 4.5))


def _ceiling(
    mesh: MeshBuilder, rng: Rng, a: Floats, b: Floats, half: float, height: float
) -> list[list[float]]:
    """Lamps, pipes and trays along one leg; returns the lights."""
    along = (b - a) / np.linalg.norm(b - a)
    left = np.array([-along[1], along[0]])
    length, yaw = float(np.linalg.norm(b - a)), float(np.arctan2(along[1], along[0]))
    lights = []
    tube_like, every = rng.random() < 0.5, float(rng.uniform(2.4, 5.0))
    size = (1.25, 0.16, 0.09) if tube_like else (0.6, 0.6, 0.05)
    for s in np.arange(float(rng.uniform(0.5, every)), length, every):
        at = np.array([*(a + along * s), height - size[2]])
        who = mesh.object(float(rng.normal()))
        mesh.add(box(size).moved(at, yaw=yaw), 'lamp', who)
        lights.append([at[0], at[1], at[2] - 0.1, 1.0, 1.0, 0.96, 0.88])
    for _ in range(int(rng.integers(0, 5))):
        d = float(rng.uniform(-1, 1)) * (half - 0.15)
        radius = float(rng.uniform(0.025, 0.11))
        z = height - radius - float(rng.uniform(0.05, 0.35))
        ends = np.array([[*(a - along * half + left * d), z], [*(b + along * half + left * d), z]])
        material = str(rng.choice(['pipe_hot', 'pipe_cold', 'steel', 'plastic']))
        mesh.add(tube(ends, np.full(2, radius), 9), material, mesh.object(float(rng.normal())))
    if rng.random() < 0.4:
        d = float(rng.choice([-1, 1])) * (half - 0.25)
        middle = np.array([*((a + b) / 2 + left * d), height - 0.35])
        mesh.add(box((length + 2 * half, 0.3, 0.08)).moved(middle, yaw=yaw), 'steel',
                 mesh.object(float(rng.normal())))  # fmt: skip
    return lights


def _legs(rng: Rng, half: float) -> Floats:
    """Corners of the route: right angles, never crossing itself."""
    corners, heading = [np.array([0.0, 0.0])], 0
    turn = int(rng.choice([-1, 1]))
    for _ in range(int(rng.integers(4, 7))):
        length = float(rng.uniform(10, 28) if heading == 0 else rng.uniform(6, 16))
        length = max(length, 6 * half)
        step = np.array([[1, 0], [0, 1], [0, -1]])[heading]
        corners.append(corners[-1] + np.rint(step * length / CELL) * CELL)
        if heading == 0:
            heading = 1 if turn > 0 else 2
            turn = int(rng.choice([-1, 1]))
        else:
            heading = 0
    return np.array(corners)


def _people(
    mesh: MeshBuilder, rng: Rng, corners: Floats, half: float, movers: bool
) -> list[Mover]:
    walking = []
    for _ in range(int(rng.integers(1, 7))):
        k = int(rng.integers(len(corners) - 1))
        a, b = corners[k], corners[k + 1]
        along = (b - a) / np.linalg.norm(b - a)
        left = np.array([-along[1], along[0]])
        d = float(rng.choice([-1, 1])) * (half - float(rng.uniform(0.3, 0.45)))
        instance = mesh.object(float(rng.normal()), any_color(rng))
        stride = bool(rng.random() < 0.5)
        model = person(rng, walking=stride)
        if movers and stride:
            line = np.array([[*(a + left * d), 0.0], [*(b + left * d), 0.0]])
            line = line if rng.random() < 0.5 else line[::-1]
            own = MeshBuilder()
            own.place(model, (0, 0, 0), instance=instance)
            track = Trajectory(line, float(rng.uniform(0.8, 1.4)), rng, shake=0.0)
            walking.append(Mover(own.build(), track, float(rng.uniform(0, 30)), 1.4))
        else:
            at = a + (b - a) * float(rng.uniform(0.1, 0.95)) + left * d
            mesh.place(model, (float(at[0]), float(at[1]), 0.0), yaw=float(rng.uniform(0, 6.3)),
                       instance=instance)  # fmt: skip
    return walking


def build(rng: Rng, movers: bool) -> Parts:
    """
    Lay out a corridor.

    :param rng: source of the layout.
    :param movers: whether people move.
    """
    mesh, plan = MeshBuilder(), _Plan()
    half = round(float(rng.uniform(0.9, 2.0)) / CELL) * CELL
    height = float(rng.uniform(2.3, 3.6))
    corners = _legs(rng, half)
    for a, b in itertools.pairwise(corners):
        plan.open(np.minimum(a, b) - half, np.maximum(a, b) + half)
        along = (b - a) / np.linalg.norm(b - a)
        left = np.array([-along[1], along[0]])
        for _ in range(int(rng.integers(0, 4))):
            s, sign = float(rng.uniform(2, np.linalg.norm(b - a) - 2)), float(rng.choice([-1, 1]))
            wide, deep = float(rng.uniform(0.5, 1.6)), float(rng.uniform(0.4, 2.0))
            if rng.random() < 0.25:
                deep = float(rng.uniform(4, 14))
            at = a + along * s
            plan.open(at - along * wide, at + along * wide + left * sign * (half + deep))
    shape, _ = plan.walls(height)
    red, green, blue = any_color(rng)
    tint = (0.75 + 0.25 * red, 0.75 + 0.25 * green, 0.75 + 0.25 * blue)
    wall = 'wall_indoor' if rng.random() < 0.75 else str(rng.choice(['brick', 'concrete']))
    mesh.add(shape, wall, mesh.object(float(rng.normal()), tint))
    mesh.add(plan.slab(0.0), 'floor', mesh.object(float(rng.normal()), any_color(rng)))
    mesh.add(plan.slab(height), 'ceiling', mesh.object(float(rng.normal())))
    if rng.random() < 0.6:
        base, _ = plan.walls(0.12)
        mesh.add(_inward(base, plan, 0.015), 'skirting', mesh.object(float(rng.normal())))
    lights: list[list[float]] = []
    for a, b in itertools.pairwise(corners):
        _dress_wall(mesh, rng, plan, a, b, half)
        lights += _ceiling(mesh, rng, a, b, half, height)
    walking = _people(mesh, rng, corners, half, movers)
    path = _rounded(corners, 1.1 * half)
    return Parts(
        scene=mesh.build(),
        deltas=np.array(mesh.deltas, np.float32),
        colors=np.array(mesh.colors, np.float32),
        path=path,
        speed=float(rng.uniform(0.9, 1.4)),
        movers=tuple(walking),
        lights=np.array(lights, np.float32).reshape(-1, 7),
        indoor=True,
        sway=max(half - 0.75, 0.05) * 0.6,
    )


def _inward(shape: Shape, plan: _Plan, by: float) -> Shape:
    """Faces of `_Plan.walls`, each moved to the side where one can stand."""
    v = shape.vertices.reshape(-1, 4, 3).copy()
    middle = (v[:, 0, :2] + v[:, 1, :2]) / 2
    step = v[:, 1, :2] - v[:, 0, :2]
    side = np.stack([-step[:, 1], step[:, 0]], 1)
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    for k, (m, n) in enumerate(zip(middle, side, strict=True)):
        wall = plan.solid(m + n * CELL * 0.5 - CELL / 2, m + n * CELL * 0.5 + CELL / 2)
        v[k, :, :2] += (-n if wall else n) * by
    return Shape(v.reshape(-1, 3), shape.faces)


def _rounded(corners: Floats, radius: float) -> Floats:
    """Way-points on the ground that cut the corners."""
    points = [corners[0] + (corners[1] - corners[0]) * 0.04]
    for a, b, c in zip(corners[:-2], corners[1:-1], corners[2:], strict=True):
        back, on = a - b, c - b
        back, on = back / np.linalg.norm(back), on / np.linalg.norm(on)
        points += [b + back * radius * 2.2, b + back * radius, b + (back + on) * radius * 0.22,
                   b + on * radius, b + on * radius * 2.2]  # fmt: skip
    last = corners[-2] - corners[-1]
    points.append(corners[-1] + last / np.linalg.norm(last) * 1.5)
    flat = np.array(points)
    return np.concatenate([flat, np.zeros((len(flat), 1))], 1)
