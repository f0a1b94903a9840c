# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A farm: a field track between crop rows and pastures, past barns, silos, bales and machines."""

from __future__ import annotations

import numpy as np

from monother_ros.sim.mesh import (
    MeshBuilder,
    Model,
    Part,
    ball,
    box,
    boxes,
    cylinder,
    grid,
    leaves,
    merge,
    prism,
    tube,
    wheel,
)
from monother_ros.sim.scenes.buildings import fence, house
from monother_ros.sim.scenes.ground import Centreline, backdrop, plain
from monother_ros.sim.scenes.objects import any_color, broadleaf, bush, pallet, person, vehicle
from monother_ros.sim.trajectory import Trajectory
from monother_ros.sim.world import Mover, Parts

Rng = np.random.Generator
LENGTH = 190.0


def barn(rng: Rng, width: float, depth: float) -> Model:
    """
    Barn whose gable and gate face -y.

    :param rng: source of its look.
    :param width: of the gable, metres.
    :param depth: metres.
    """
    eaves = float(rng.uniform(3.2, 5.2))
    ridge = eaves + width * float(rng.uniform(0.22, 0.42))
    half = width / 2
    outline = np.array([[-half, 0.0], [half, 0.0], [half, eaves], [0.0, ridge], [-half, eaves]])
    slope = np.array([[-half - 0.5, eaves - 0.3], [half + 0.5, eaves - 0.3], [0.0, ridge + 0.2]])
    wall = str(rng.choice(['wood', 'wood', 'plaster', 'steel_paint']))
    middle = (0.0, depth / 2, 0.0)
    n = int(width / 0.6)
    x = (np.arange(n) + 0.5) * width / n - half
    boards = boxes(np.tile([0.06, 0.08, eaves - 0.1], (n, 1)),
                   np.stack([x, np.zeros(n), np.zeros(n)], 1))  # fmt: skip
    gate = float(rng.uniform(2.6, 4.0))
    return [
        Part(wall, prism(outline, depth).moved(middle)),
        Part('roof', prism(slope, depth + 0.6).moved((0.0, depth / 2, 0.05))),
        Part(wall, boards),
        Part('door', box((gate, 0.22, float(rng.uniform(2.6, eaves - 0.2))))),
        Part('window_frame', box((0.9, 0.2, 0.7), (half * 0.68, 0.0, 1.5))),
        Part('steel', box((width * 0.5, 0.12, 0.12), (0.0, -0.1, eaves - 0.3))),
    ]


def silo(rng: Rng) -> Model:
    """
    Feed silo with a cone on top.

    :param rng: source of its size.
    """
    radius, height = float(rng.uniform(1.2, 2.2)), float(rng.uniform(5.0, 10.0))
    top = np.array([[0, 0, height], [0, 0, height + radius * 0.7], [0, 0, height + radius]])
    ladder = np.array([[radius + 0.1, -0.2, 0], [radius + 0.1, -0.2, height]])
    rings = [cylinder(radius * 1.02, 0.08, (0, 0, z), 20) for z in np.arange(0.8, height, 1.1)]
    return [
        Part('steel' if rng.random() < 0.4 else 'steel_paint', cylinder(radius, height, sides=20)),
        Part('steel_paint', merge(rings)),
        Part('steel_paint', tube(top, radius * np.array([1.03, 0.35, 0.08]), 20)),
        Part(
            'steel',
            merge([tube(ladder + np.array([0, d, 0]), np.full(2, 0.03), 5) for d in (0, 0.4)]),
        ),
    ]


def bale(rng: Rng) -> Model:
    """
    Round bale lying on its side, about 1.4 m across.

    :param rng: source of its size.
    """
    radius = float(rng.uniform(0.6, 0.78))
    return [Part('straw', wheel(radius, float(rng.uniform(1.1, 1.4)), (0, 0, radius), 18))]


def tractor(rng: Rng, *, hot: bool) -> Model:
    """
    Tractor, about 4 m long.

    :param rng: source of its size.
    :param hot: driven lately.
    """
    size = float(rng.uniform(0.85, 1.15))
    stack = np.array([[0.9, 0.45, 1.5], [0.9, 0.45, 2.6]])
    model: Model = [
        Part('tyre_hot' if hot else 'tyre',
             merge([wheel(0.85, 0.5, (-0.9, s * 0.85, 0.85), 18) for s in (-1, 1)]
                   + [wheel(0.5, 0.35, (1.4, s * 0.75, 0.5), 14) for s in (-1, 1)])),
        Part('rim', merge([wheel(0.45, 0.54, (-0.9, s * 0.85, 0.85), 12) for s in (-1, 1)])),
        Part('car_hood' if hot else 'car_paint', box((1.9, 0.8, 0.85), (0.95, 0, 0.75))),
        Part('car_paint', box((1.7, 1.1, 0.5), (-0.8, 0, 0.75))),
        Part('car_glass', box((1.3, 1.25, 1.15), (-0.75, 0, 1.25))),
        Part('car_paint', box((1.5, 1.4, 0.1), (-0.75, 0, 2.4))),
        Part('exhaust' if hot else 'steel', tube(stack, np.full(2, 0.06), 7)),
    ]  # fmt: skip
    return [Part(p.material, p.shape.moved(scale=size)) for p in model]


def cow(rng: Rng) -> Model:
    """
    Cow or horse that stands.

    :param rng: source of its posture.
    """
    graze = bool(rng.random() < 0.5)
    head = np.array([1.35, 0, 0.45]) if graze else np.array([1.3, 0, 1.5])
    face = (float(head[0]) + 0.1, 0.0, float(head[2]))
    neck = np.array([[0.75, 0, 1.15], (np.array([0.75, 0, 1.15]) + head) / 2 + [0.1, 0, 0], head])
    legs = [tube(np.array([[x, y, 0.0], [x, y, 0.75]]), np.array([0.06, 0.1]), 6)
            for x in (-0.62, 0.62) for y in (-0.2, 0.2)]  # fmt: skip
    return [
        Part('hide', ball((0.9, 0.36, 0.38), (0, 0, 1.05), 8, 12)),
        Part('hide', tube(neck, np.array([0.22, 0.16, 0.13]), 8)),
        Part('hide', ball((0.26, 0.13, 0.14), face, 6, 8)),
        Part('hide', merge(legs)),
    ]


def _field(
    mesh: MeshBuilder, rng: Rng, line: Centreline, side: float, span: tuple[float, float],
    near: float,
) -> None:  # fmt: skip
    """Rows of a crop along the track: ridges with plants on them."""
    who = mesh.object(float(rng.normal()), any_color(rng))
    pitch, high = float(rng.uniform(0.9, 2.6)), float(rng.uniform(0.35, 1.9))
    s = np.arange(span[0], span[1], 1.5)
    for k in range(int(rng.integers(8, 15))):
        d = side * (near + k * pitch)
        foot = line.at(s, d, -0.05)
        crest = line.at(s, d + 0.0, 0.16)
        left, right = line.at(s, d + 0.3, -0.05), line.at(s, d - 0.3, -0.05)
        ridge = np.stack([right, crest, left], 1)
        mesh.add(grid(ridge[..., 0], ridge[..., 1], ridge[..., 2]), 'soil', who)
        count = int((span[1] - span[0]) * min(9.0, 70.0 / (k + 6)))
        at = rng.uniform(span[0], span[1], count)
        plants = line.at(at, d + rng.normal(0, 0.10 + 0.06 * high, count))
        plants[:, 2] += rng.uniform(0.1, high, count)
        size = 0.12 + 0.12 * high + 0.012 * k
        mesh.add(leaves(plants, size, rng, upright=0.7), 'crop', who)
        if high > 1.2 and k < 6:
            posts = [cylinder(0.05, high + 0.3, tuple(p), 5) for p in foot[::4]]  # type: ignore[arg-type]
            mesh.add(merge(posts), 'wood', who)


def _pasture(
    mesh: MeshBuilder, rng: Rng, line: Centreline, side: float, span: tuple[float, float],
    near: float,
) -> None:  # fmt: skip
    """Fenced grass with animals, or stubble with bales."""
    points = line.at(np.arange(span[0], span[1] + 0.1, 6.0), side * near)
    if rng.random() < 0.8:
        fence(mesh, rng, points, height=float(rng.uniform(0.9, 1.4)),
              kind=str(rng.choice(['rail', 'planks', 'mesh'])))  # fmt: skip
    grazing = rng.random() < 0.55
    for _ in range(int(rng.integers(3, 12))):
        s, d = float(rng.uniform(*span)), side * (near + float(rng.uniform(1.5, 26)))
        model = cow(rng) if grazing else bale(rng)
        one = mesh.object(float(rng.normal()), any_color(rng) if grazing else (1.0, 1.0, 1.0))
        mesh.place(model, line.at(s, d, -0.04), yaw=float(rng.uniform(0, 6.3)), instance=one)


def _yard(
    mesh: MeshBuilder, rng: Rng, line: Centreline, side: float, span: tuple[float, float],
    near: float, lights: list[list[float]],
) -> None:  # fmt: skip
    """Buildings and what stands about them; their fronts face the track."""
    s = span[0] + 4.0
    mesh.add(line.strip(tuple(sorted((side * (near - 1.5), side * (near + 9)))),  # type: ignore[arg-type]
                        (0.012, 0.012), span),
             str(rng.choice(['concrete', 'path', 'paving'])), mesh.object())  # fmt: skip
    while s < span[1] - 4:
        width = float(rng.uniform(7, 13))
        foot = line.at(s + width / 2, side * (near + float(rng.uniform(5.5, 10))), -0.1)
        yaw = line.yaw(s + width / 2) + (0.0 if side > 0 else np.pi)
        who = mesh.object(float(rng.normal()), any_color(rng))
        kind = rng.random()
        if kind < 0.6:
            mesh.place(barn(rng, width, float(rng.uniform(9, 18))), foot, yaw=yaw, instance=who)
            lights.append([*(foot + [0.0, 0.0, 3.8] + 0.9 * np.array(
                [np.sin(yaw), -np.cos(yaw), 0.0])), 3.0, 1.0, 0.9, 0.7])  # fmt: skip
        elif kind < 0.8:
            house(mesh, rng, foot, yaw=yaw, width=width, depth=9.0,
                  height=float(rng.uniform(3, 6)))  # fmt: skip
        else:
            for k in range(int(rng.integers(1, 4))):
                beside = line.at(s + 2.2 + 4.6 * k, side * (near + 7), -0.1)
                mesh.place(silo(rng), beside, yaw=yaw, instance=who)
        s += width + float(rng.uniform(1.5, 7))
    for _ in range(int(rng.integers(5, 14))):
        at, d = float(rng.uniform(*span)), side * (near + float(rng.uniform(0.2, 4.2)))
        one = mesh.object(float(rng.normal()), any_color(rng))
        pick, where = rng.random(), line.at(at, d)
        yaw = float(rng.uniform(0, 6.3))
        if pick < 0.25:
            mesh.place(tractor(rng, hot=bool(rng.random() < 0.5)), where, yaw=yaw, instance=one)
        elif pick < 0.35:
            mesh.place(vehicle(rng, hot=False), where, yaw=yaw, instance=one)
        elif pick < 0.65:
            mesh.place(bale(rng), where, yaw=yaw, instance=mesh.object(float(rng.normal())))
        elif pick < 0.9:
            mesh.place(pallet(rng), where, yaw=yaw, instance=one)
        else:
            trough = [Part('steel', box((2.2, 0.7, 0.6)))]
            mesh.place(trough, where, yaw=yaw, instance=one)


def _people(mesh: MeshBuilder, rng: Rng, line: Centreline, movers: bool) -> list[Mover]:
    walking = []
    for _ in range(int(rng.integers(1, 6))):
        s, d = float(rng.uniform(5, LENGTH - 30)), float(rng.choice([-1, 1])) * 3.2
        instance = mesh.object(float(rng.normal()), any_color(rng))
        stride = bool(rng.random() < 0.6)
        model = person(rng, walking=stride)
        if movers and stride:
            track = Trajectory(line.at(s + np.arange(0.0, 25.0, 5.0), d), 1.2, rng, shake=0.0)
            own = MeshBuilder()
            own.place(model, (0, 0, 0), instance=instance)
            walking.append(Mover(own.build(), track, float(rng.uniform(0, 20)), 1.4))
        else:
            mesh.place(model, line.at(s, d), yaw=float(rng.uniform(0, 6.3)), instance=instance)
    return walking


def build(rng: Rng, movers: bool) -> Parts:
    """
    Lay out a farm.

    :param rng: source of the layout.
    :param movers: whether people move.
    """
    mesh = MeshBuilder()
    line = Centreline(rng, LENGTH, float(rng.uniform(0.002, 0.02)), float(rng.uniform(0, 0.03)))
    half = float(rng.uniform(1.6, 2.4))
    centre = line.at(LENGTH / 2)
    green = str(rng.choice(['grass', 'grass', 'soil']))
    for side in (-1.0, 1.0):
        edges = sorted((side * half, side * 30.0))
        mesh.add(line.strip((edges[0], edges[1]), (-0.05, -0.05)), green,
                 mesh.object(float(rng.normal())))  # fmt: skip
        edges = sorted((side * 0.45, side * half))
        mesh.add(line.strip((edges[0], edges[1]), (0.0, 0.0)), 'path',
                 mesh.object(float(rng.normal())))  # fmt: skip
    mesh.add(line.strip((-0.45, 0.45), (0.02, 0.02)), 'grass', mesh.object(float(rng.normal())))
    plain(mesh, centre, 400.0, -4.0, green)
    lights: list[list[float]] = []
    trees = [broadleaf(rng, detail=700) for _ in range(4)]
    hedges = [bush(rng) for _ in range(3)]
    for side in (-1.0, 1.0):
        s = -25.0
        while s < LENGTH + 10:
            span = (s, min(s + float(rng.uniform(25, 60)), LENGTH + 20))
            near = half + float(rng.uniform(0.9, 2.2))
            kind = rng.random()
            if kind < 0.42:
                _field(mesh, rng, line, side, span, near)
            elif kind < 0.7:
                _pasture(mesh, rng, line, side, span, near + 0.5)
            else:
                _yard(mesh, rng, line, side, span, near + 1.5, lights)
            for _ in range(int(rng.integers(0, 7))):
                d = side * (near + float(rng.uniform(20, 29)))
                mesh.place(trees[int(rng.integers(4))],
                           line.at(float(rng.uniform(*span)), d, -0.1),
                           yaw=float(rng.uniform(0, 6.3)), scale=float(rng.uniform(0.7, 1.4)),
                           instance=mesh.object(float(rng.normal())))  # fmt: skip
            for _ in range(int(rng.integers(0, 5))):
                mesh.place(hedges[int(rng.integers(3))],
                           line.at(float(rng.uniform(*span)), side * (half + 1.0), -0.1),
                           scale=float(rng.uniform(0.4, 1.0)),
                           instance=mesh.object(float(rng.normal())))  # fmt: skip
            s = span[1] + float(rng.uniform(2, 6))
    blades = int(rng.integers(5000, 12000))
    at = rng.uniform(-10, LENGTH + 10, blades)
    away = rng.choice([-1.0, 1.0], blades) * (half + np.abs(rng.normal(0, 1.2, blades)))
    mesh.add(leaves(line.at(at, away, 0.0), 0.12, rng, upright=0.7), 'grass', mesh.object())
    walking = _people(mesh, rng, line, movers)
    low = float(rng.uniform(2, 8))
    backdrop(mesh, rng, centre, 190.0, (low, low + float(rng.uniform(4, 18))))
    return Parts(
        scene=mesh.build(),
        deltas=np.array(mesh.deltas, np.float32),
        colors=np.array(mesh.colors, np.float32),
        path=line.at(np.arange(2.0, LENGTH - 40, 10.0)),
        speed=float(rng.uniform(1.8, 3.5)),
        movers=tuple(walking),
        lights=np.array(lights, np.float32).reshape(-1, 7),
        indoor=False,
        sway=0.7,
    )
