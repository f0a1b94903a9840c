# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An industrial yard: halls, containers, fences, machines, pallets, barrels, vehicles, people."""

from __future__ import annotations

import numpy as np

from monother_ros.sim.mesh import (
    Floats,
    MeshBuilder,
    Model,
    Part,
    ball,
    box,
    boxes,
    cylinder,
    merge,
    tube,
)
from monother_ros.sim.scenes.buildings import fence, house
from monother_ros.sim.scenes.ground import backdrop, plain
from monother_ros.sim.scenes.objects import (
    any_color,
    barrel,
    bin_,
    broadleaf,
    bush,
    car_color,
    conifer,
    pallet,
    person,
    rock,
    street_lamp,
    vehicle,
)
from monother_ros.sim.trajectory import Trajectory, smooth_curve
from monother_ros.sim.world import Mover, Parts

Rng = np.random.Generator


class _Floor:
    """Where there is still room: discs that do not overlap, nor touch the path."""

    def __init__(self, path: Floats, size: tuple[float, float]) -> None:
        self._path, self._size = path[::20, :2], size
        self._discs: list[tuple[float, float, float]] = []

    def find(self, rng: Rng, radius: float, clear: float = 1.3) -> tuple[float, float] | None:
        """Centre of a free disc, or None if none was found in some tries."""
        for _ in range(25):
            x = float(rng.uniform(-1, 1)) * (self._size[0] - radius)
            y = float(rng.uniform(-1, 1)) * (self._size[1] - radius)
            gap = np.sqrt(((self._path - [x, y]) ** 2).sum(1).min())
            if gap < radius + clear:
                continue
            if all((x - a) ** 2 + (y - b) ** 2 > (radius + c) ** 2 for a, b, c in self._discs):
                self._discs.append((x, y, radius))
                return x, y
        return None


def container(length: float) -> Model:
    """
    Shipping container along x.

    :param length: metres; 6.06 and 12.19 are the usual ones.
    """
    n = int(length / 0.28)
    x = (np.arange(n) + 0.5) * length / n - length / 2
    sizes = np.tile([0.14, 2.48, 2.35], (n, 1))
    ribs = boxes(sizes, np.stack([x, np.zeros(n), np.full(n, 0.14)], 1))
    rods = merge([cylinder(0.025, 2.3, (length / 2 + 0.04, y, 0.15), 6)
                  for y in (-0.8, -0.3, 0.3, 0.8)])  # fmt: skip
    return [
        Part('steel_paint', box((length, 2.42, 2.58))),
        Part('steel_paint', ribs),
        Part('steel', rods),
    ]


def machine(rng: Rng) -> Model:
    """
    Generator, pump or compressor with hot parts.

    :param rng: source of its shape.
    """
    length, width, height = (float(v) for v in rng.uniform([1.2, 0.8, 0.8], [3.0, 1.5, 1.7]))
    stack = np.array([[0.3 * length, 0, height], [0.3 * length, 0, height + 0.6]])
    parts = [
        Part('steel_paint', box((length, width, 0.2))),
        Part('machine', box((length * 0.9, width * 0.85, height), (0, 0, 0.2))),
        Part('exhaust', tube(stack, np.full(2, 0.07), 8)),
        Part('steel_paint', box((length * 0.3, width * 0.9, 0.5),
                                (-length * 0.25, 0, height * 0.4))),
        Part('pipe_hot', tube(np.array([[-length * 0.4, width * 0.5, 0.35],
                                        [length * 0.4, width * 0.5, 0.5]]), np.full(2, 0.06), 8)),
    ]  # fmt: skip
    if rng.random() < 0.5:
        parts.append(
            Part('machine', ball((0.4, 0.4, 0.4), (length * 0.1, 0, height + 0.2), 6, 12))
        )
    return parts


def tank(rng: Rng) -> Model:
    """
    Upright tank with a domed lid.

    :param rng: source of its size.
    """
    radius, height = float(rng.uniform(0.8, 1.9)), float(rng.uniform(1.8, 5.0))
    return [
        Part('steel_paint' if rng.random() < 0.6 else 'steel',
             cylinder(radius, height, (0, 0, 0.25), 24)),
        Part('steel_paint', ball((radius, radius, 0.35), (0, 0, height + 0.25), 6, 24)),
        Part('concrete', cylinder(radius * 1.15, 0.25, sides=20)),
        Part('pipe_cold', tube(np.array([[radius + 0.15, 0, 0.1], [radius + 0.15, 0, height]]),
                               np.full(2, 0.07), 8)),
    ]  # fmt: skip


def _hall(mesh: MeshBuilder, rng: Rng, foot: Floats, yaw: float, width: float) -> None:
    """Industrial hall with gates; its front faces -y before it is turned."""
    depth, height = float(rng.uniform(9, 16)), float(rng.uniform(4.5, 9))
    who = mesh.object(float(rng.normal()), any_color(rng))
    wall = str(rng.choice(['steel_paint', 'concrete', 'brick']))
    mesh.add(box((width, depth, height), (0, depth / 2, 0)).moved(foot, yaw=yaw), wall, who)
    if wall == 'steel_paint':
        n = int(width / 0.5)
        at = (np.arange(n) + 0.5) * width / n - width / 2
        ribs = boxes(np.tile([0.12, 0.1, height - 0.1], (n, 1)),
                     np.stack([at, np.zeros(n), np.zeros(n)], 1))  # fmt: skip
        mesh.add(ribs.moved(foot, yaw=yaw), wall, who)
    x = -width / 2 + 2.5
    while x < width / 2 - 2:
        pick = rng.random()
        item = mesh.object(float(rng.normal()), any_color(rng))
        if pick < 0.4:
            gate = box((3.4, 0.24, 3.6), (x, 0, 0))
            spots = np.stack([np.full(8, x), np.zeros(8), 0.2 + 0.42 * np.arange(8)], 1)
            slats = boxes(np.tile([3.3, 0.3, 0.05], (8, 1)), spots)
            mesh.add(gate.moved(foot, yaw=yaw), 'door', item)
            mesh.add(slats.moved(foot, yaw=yaw), 'door', item)
        elif pick < 0.75:
            panes = boxes(np.tile([0.85, 0.24, 1.0], (3, 1)),
                          np.array([[x - 1, 0, 1.6], [x, 0, 1.6], [x + 1, 0, 1.6]]))  # fmt: skip
            mesh.add(panes.moved(foot, yaw=yaw), 'glass', item)
        elif pick < 0.85:
            vent = box((1.2, 0.5, 0.9), (x, 0, float(rng.uniform(0.5, 2.5))))
            mesh.add(vent.moved(foot, yaw=yaw), 'machine', item)
        else:
            mesh.add(box((1.0, 0.26, 2.1), (x, 0, 0)).moved(foot, yaw=yaw), 'door', item)
        x += float(rng.uniform(3.6, 5.5))
    for _ in range(int(rng.integers(0, 3))):
        z = float(rng.uniform(2.8, height - 0.4))
        line = np.array([[-width / 2, -0.25, z], [width / 2, -0.25, z]])
        pipe = tube(line, np.full(2, float(rng.uniform(0.05, 0.14))), 9)
        kind = str(rng.choice(['pipe_hot', 'pipe_cold', 'steel']))
        mesh.add(pipe.moved(foot, yaw=yaw), kind, mesh.object(float(rng.normal())))
    mesh.add(box((width + 0.3, depth + 0.3, 0.25), (0, depth / 2, height)).moved(foot, yaw=yaw),
             'roof', mesh.object(float(rng.normal())))  # fmt: skip


def _border(mesh: MeshBuilder, rng: Rng, size: tuple[float, float]) -> None:
    """Halls, houses and fences around the yard, plants beyond."""
    w, h = size
    for a, b in (((-w, h), (w, h)), ((w, h), (w, -h)), ((w, -h), (-w, -h)), ((-w, -h), (-w, h))):
        start, end = np.array([*a, 0.0]), np.array([*b, 0.0])
        length = float(np.linalg.norm(end - start))
        along = (end - start) / length
        # fronts face the yard: -y before turning is to the right of the wall's run
        yaw = float(np.arctan2(along[1], along[0]))
        s = 0.0
        while s < length - 1:
            run = min(float(rng.uniform(7, 22)), length - s)
            foot = start + along * (s + run / 2)
            kind = rng.random()
            if kind < 0.30 and run > 9:
                _hall(mesh, rng, foot, yaw, run - 0.5)
            elif kind < 0.42 and run > 7:
                house(mesh, rng, foot, yaw=yaw, width=run - 1.0, depth=9.0,
                      height=float(rng.uniform(3, 8)))  # fmt: skip
            elif kind < 0.93:
                points = np.linspace(start + along * s, start + along * (s + run), 4)
                fence(mesh, rng, points, height=float(rng.uniform(1.2, 2.6)))
            s += run
    kinds = [broadleaf(rng), broadleaf(rng), conifer(rng)]
    for _ in range(int(rng.integers(15, 60))):
        turn, out = float(rng.uniform(0, 6.3)), float(rng.uniform(1.15, 2.6))
        x, y = np.cos(turn) * w * out * 1.3, np.sin(turn) * h * out * 1.3
        if abs(x) > w + 2 or abs(y) > h + 2:
            mesh.place(kinds[int(rng.integers(3))], (x, y, -0.1), yaw=turn,
                       scale=float(rng.uniform(0.7, 1.8)),
                       instance=mesh.object(float(rng.normal())))  # fmt: skip
    for _ in range(int(rng.integers(2, 9))):
        turn = float(rng.uniform(0, 6.3))
        out = float(rng.uniform(35, 90))
        house(mesh, rng, np.array([np.cos(turn) * (w + out), np.sin(turn) * (h + out), -0.1]),
              yaw=turn - np.pi / 2, width=float(rng.uniform(8, 25)), depth=10.0,
              height=float(rng.uniform(4, 18)))  # fmt: skip


def _things(mesh: MeshBuilder, rng: Rng, floor: _Floor) -> list[list[float]]:
    """Everything that stands about inside; returns the lamps' lights."""
    lights: list[list[float]] = []
    plan: list[tuple[str, float, int]] = [
        ('long container', 6.4, int(rng.integers(0, 3))),
        ('container', 3.4, int(rng.integers(0, 8))), ('vehicle', 3.4, int(rng.integers(0, 6))),
        ('tank', 2.2, int(rng.integers(0, 4))), ('machine', 1.9, int(rng.integers(1, 6))),
        ('pallets', 1.3, int(rng.integers(3, 14))), ('barrels', 1.2, int(rng.integers(2, 9))),
        ('heap', 2.4, int(rng.integers(0, 3))), ('lamp', 0.6, int(rng.integers(1, 5))),
        ('bin', 0.6, int(rng.integers(1, 7))), ('bush', 0.8, int(rng.integers(0, 9))),
        ('wall', 2.5, int(rng.integers(0, 3))), ('rock', 0.7, int(rng.integers(0, 6))),
    ]  # fmt: skip
    for kind, radius, count in plan:
        for _ in range(count):
            spot = floor.find(rng, radius)
            if spot is None:
                continue
            at, yaw = (spot[0], spot[1], 0.0), float(rng.uniform(0, 6.3))
            who = mesh.object(float(rng.normal()), any_color(rng))
            if kind.endswith('container'):
                model = container(12.19 if kind.startswith('long') else 6.06)
                yaw = float(rng.choice([0, np.pi / 2])) + float(rng.normal(0, 0.08))
                mesh.place(model, at, yaw=yaw, instance=who)
                if rng.random() < 0.35:
                    top = mesh.object(float(rng.normal()), any_color(rng))
                    mesh.place(model, (at[0], at[1], 2.6), yaw=yaw, instance=top)
            elif kind == 'vehicle':
                paint = mesh.object(float(rng.normal()), car_color(rng))
                mesh.place(vehicle(rng, hot=bool(rng.random() < 0.35)), at, yaw=yaw,
                           instance=paint)  # fmt: skip
            elif kind == 'pallets':
                for k in range(int(rng.integers(1, 4))):
                    one = mesh.object(float(rng.normal()), any_color(rng))
                    beside = (at[0] + 0.05 * k, at[1] + 0.7 * k, 0.0)
                    mesh.place(pallet(rng, load=k == 0), beside, yaw=yaw, instance=one)
            elif kind == 'barrels':
                for dx, dy in rng.uniform(-0.9, 0.9, (int(rng.integers(1, 6)), 2)):
                    one = mesh.object(float(rng.normal(scale=1.5)), any_color(rng))
                    mesh.place(barrel(), (at[0] + dx, at[1] + dy, 0.0), instance=one)
            elif kind == 'heap':
                hill = ball((2.0, 1.6, float(rng.uniform(0.7, 1.8))), (0, 0, 0), 8, 18)
                mesh.add(hill.moved(at, yaw=yaw), str(rng.choice(['soil', 'rock', 'path'])), who)
            elif kind == 'lamp':
                lamp = street_lamp(rng)
                mesh.place(lamp, at, yaw=yaw, instance=who)
                head = lamp[1].shape.vertices.mean(0)
                lights.append([at[0] + np.cos(yaw) * head[0], at[1] + np.sin(yaw) * head[0],
                               head[2] - 0.15, 6.0, 1.0, 0.85, 0.6])  # fmt: skip
            elif kind == 'wall':
                step = 2.2 * np.array([np.cos(yaw), np.sin(yaw), 0.0])
                line = np.array([np.array(at) - step, np.array(at) + step])
                fence(mesh, rng, line, height=float(rng.uniform(0.8, 2.2)))
            else:
                model = {'tank': tank, 'machine': machine, 'bin': bin_, 'bush': bush,
                         'rock': rock}[kind](rng)  # fmt: skip
                mesh.place(model, at, yaw=yaw, instance=who)
    return lights


def _people(mesh: MeshBuilder, rng: Rng, floor: _Floor, movers: bool) -> list[Mover]:
    walking = []
    for _ in range(int(rng.integers(1, 9))):
        spot = floor.find(rng, 0.4, 0.7)
        if spot is None:
            continue
        instance = mesh.object(float(rng.normal()), any_color(rng))
        stride = bool(rng.random() < 0.5)
        model, at = person(rng, walking=stride), np.array([spot[0], spot[1], 0.0])
        if movers and stride:
            turn = float(rng.uniform(0, 6.3))
            end = at + 5.0 * np.array([np.cos(turn), np.sin(turn), 0.0])
            track = Trajectory(np.stack([at, end]), float(rng.uniform(0.7, 1.3)), rng, shake=0.0)
            own = MeshBuilder()
            own.place(model, (0, 0, 0), instance=instance)
            walking.append(Mover(own.build(), track, float(rng.uniform(0, 5)), 1.4))
        else:
            mesh.place(model, at, yaw=float(rng.uniform(0, 6.3)), instance=instance)
    return walking


def build(rng: Rng, movers: bool) -> Parts:
    """
    Lay out a yard.

    :param rng: source of the layout.
    :param movers: whether people move.
    """
    mesh = MeshBuilder()
    size = (float(rng.uniform(15, 34)), float(rng.uniform(12, 26)))
    turn = np.linspace(0, 2 * np.pi, 10)[:-1] + float(rng.uniform(0, 6.3))
    reach = rng.uniform(0.35, 0.72, len(turn))
    path = np.zeros((len(turn), 3))
    path[:, 0] = np.cos(turn) * reach * size[0]
    path[:, 1] = np.sin(turn) * reach * size[1]
    floor = _Floor(smooth_curve(path), size)
    ground = str(rng.choice(['asphalt', 'concrete', 'path', 'paving']))
    axis_x, axis_y = np.linspace(-size[0], size[0], 9), np.linspace(-size[1], size[1], 9)
    step = (axis_x[1] - axis_x[0], axis_y[1] - axis_y[0])
    shade = [mesh.object(float(rng.normal(scale=0.7))) for _ in range(3)]
    slab = box((float(step[0]), float(step[1]), 0.3), (0, 0, -0.3))
    for x in axis_x[:-1] + step[0] / 2:
        for y in axis_y[:-1] + step[1] / 2:
            mesh.add(slab.moved((float(x), float(y), 0.0)), ground, shade[int(rng.integers(3))])
    for _ in range(int(rng.integers(2, 12))):
        spot = rng.uniform(-0.85, 0.85, 2) * size
        patch = box((float(rng.uniform(0.6, 4)), float(rng.uniform(0.6, 3)), 0.012))
        mesh.add(patch.moved((float(spot[0]), float(spot[1]), 0.0), yaw=float(rng.uniform(0, 6))),
                 str(rng.choice(['asphalt', 'concrete', 'soil', 'grass', 'paint_line'])),
                 mesh.object(float(rng.normal())))  # fmt: skip
    plain(mesh, np.zeros(3), 300.0, -0.1, str(rng.choice(['grass', 'soil'])))
    _border(mesh, rng, size)
    lights = _things(mesh, rng, floor)
    walking = _people(mesh, rng, floor, movers)
    low = float(rng.uniform(3, 12))
    backdrop(mesh, rng, np.zeros(3), 160.0, (low, low + float(rng.uniform(5, 30))))
    return Parts(
        scene=mesh.build(),
        deltas=np.array(mesh.deltas, np.float32),
        colors=np.array(mesh.colors, np.float32),
        path=path,
        speed=float(rng.uniform(1.2, 2.4)),
        movers=tuple(walking),
        lights=np.array(lights, np.float32).reshape(-1, 7),
        indoor=False,
        sway=0.8,
    )
