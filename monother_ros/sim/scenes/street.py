# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A street: road, pavements, houses, parked and driving cars, people, trees, lamps."""

from __future__ import annotations

import itertools

import numpy as np

from monother_ros.sim.mesh import MeshBuilder, Model, cylinder
from monother_ros.sim.scenes.buildings import fence, house
from monother_ros.sim.scenes.ground import Centreline, backdrop, plain
from monother_ros.sim.scenes.objects import (
    any_color,
    bench,
    bin_,
    broadleaf,
    bush,
    car_color,
    conifer,
    person,
    sign_post,
    street_lamp,
    vehicle,
    wire,
)
from monother_ros.sim.trajectory import Trajectory
from monother_ros.sim.world import Mover, Parts

Rng = np.random.Generator
LENGTH = 300.0


def _surface(mesh: MeshBuilder, rng: Rng, line: Centreline, half: float, walk: float) -> None:
    """Road with markings, kerbs, pavements, and ground to both sides."""
    road = mesh.object(float(rng.normal()), any_color(rng) if rng.random() < 0.1 else (1, 1, 1))
    mesh.add(line.strip((-half, half)), 'asphalt', road)
    paint = mesh.object(float(rng.normal()))
    if rng.random() < 0.85:
        dash, gap = float(rng.uniform(1.5, 4.0)), float(rng.uniform(2.5, 7.0))
        for s in np.arange(-40, LENGTH + 40, dash + gap):
            mesh.add(line.strip((-0.07, 0.07), (0.008, 0.008), (s, s + dash), step=2.0),
                     'paint_line', paint)  # fmt: skip
    if rng.random() < 0.6:
        for d in (-half + 0.3, half - 0.3):
            mesh.add(line.strip((d - 0.06, d + 0.06), (0.007, 0.007)), 'paint_line', paint)
    if rng.random() < 0.7:
        for s in rng.uniform(15, LENGTH - 20, 2):
            for d in np.arange(-half + 0.4, half - 0.4, 1.0):
                mesh.add(line.strip((d, d + 0.5), (0.009, 0.009), (s, s + 3.0), step=3.0),
                         'paint_line', paint)  # fmt: skip
    for s, d in zip(rng.uniform(0, LENGTH, 14), rng.uniform(-half, half, 14), strict=True):
        # patched holes and manhole covers: other material, other temperature
        long, wide = rng.uniform(0.6, 5.0), rng.uniform(0.5, 1.4)
        end = min(d + wide, half - 0.05)
        if end > d:
            mesh.add(line.strip((d, end), (0.005, 0.005), (s, s + long), step=2.0), 'asphalt',
                     mesh.object(float(rng.normal(scale=2.0)), any_color(rng)))  # fmt: skip
    side = str(rng.choice(['grass', 'grass', 'paving', 'soil']))
    stone, slabs = mesh.object(float(rng.normal())), mesh.object(float(rng.normal()))
    verge = mesh.object(float(rng.normal()))
    for sign in (-1, 1):
        for across, z, material, who in (
            ((half, half), (0.0, 0.13), 'kerb', stone),
            ((half, half + 0.18), (0.13, 0.13), 'kerb', stone),
            ((half + 0.18, half + walk), (0.13, 0.14), 'paving', slabs),
            ((half + walk, half + walk + 60), (0.14, 0.14), side, verge),
        ):
            edges = (across, z) if sign > 0 else ((-across[1], -across[0]), (z[1], z[0]))
            mesh.add(line.strip(*edges), material, who)


def _houses(mesh: MeshBuilder, rng: Rng, line: Centreline, edge: float) -> None:
    """Rows of houses on both sides, with gaps, gardens and fences."""
    dense = rng.random()
    for sign in (-1.0, 1.0):
        s = float(rng.uniform(-30, -10))
        setback = float(rng.uniform(0.0, 7.0)) * (1 - 0.7 * dense)
        while s < LENGTH + 20:
            width, depth = float(rng.uniform(8, 22)), float(rng.uniform(8, 14))
            height = float(rng.uniform(3.2, 8)) if rng.random() > dense else rng.uniform(8, 19)
            middle = s + width / 2
            back = setback + float(rng.uniform(0, 1.2))
            if rng.random() < 0.88:
                yaw = line.yaw(middle) + (0.0 if sign > 0 else np.pi)
                house(mesh, rng, line.at(middle, sign * (edge + back), 0.13), yaw=yaw, width=width,
                      depth=depth, height=float(height), front_only=dense > 0.8)  # fmt: skip
            if back > 1.5 and rng.random() < 0.65:
                posts = line.at(np.linspace(s, s + width, 5), sign * (edge + 0.3), 0.14)
                fence(mesh, rng, posts, height=float(rng.uniform(0.8, 1.6)))
            s += width + (float(rng.uniform(0, 2)) if rng.random() < dense else
                          float(rng.uniform(2, 14)))  # fmt: skip


def _plants(mesh: MeshBuilder, rng: Rng, line: Centreline, half: float, walk: float) -> None:
    """Trees along the kerb and in the gardens, bushes."""
    bare = rng.random() < 0.2
    kinds = [broadleaf(rng, bare=bare) for _ in range(4)] + [conifer(rng)]
    shrubs = [bush(rng) for _ in range(3)]
    if rng.random() < 0.65:
        every = float(rng.uniform(8, 22))
        for sign in (-1, 1):
            for s in np.arange(float(rng.uniform(0, every)), LENGTH, every):
                if rng.random() < 0.75:
                    where = line.at(s + rng.normal(0, 0.5), sign * (half + 0.7), 0.13)
                    mesh.place(kinds[int(rng.integers(4))], where, yaw=float(rng.uniform(0, 6.3)),
                               scale=float(rng.uniform(0.6, 1.15)),
                               instance=mesh.object(float(rng.normal())))  # fmt: skip
    for _ in range(int(rng.integers(10, 40))):
        side = float(rng.choice([-1, 1]))
        where = line.at(rng.uniform(-20, LENGTH + 40), side * (half + walk + rng.uniform(2, 30)),
                        0.1)  # fmt: skip
        mesh.place(kinds[int(rng.integers(5))], where, yaw=float(rng.uniform(0, 6.3)),
                   scale=float(rng.uniform(0.7, 1.7)),
                   instance=mesh.object(float(rng.normal())))  # fmt: skip
    for _ in range(int(rng.integers(8, 40))):
        side = float(rng.choice([-1, 1]))
        where = line.at(rng.uniform(0, LENGTH), side * (half + walk + rng.uniform(0.6, 2.5)), 0.1)
        mesh.place(shrubs[int(rng.integers(3))], where, yaw=float(rng.uniform(0, 6.3)),
                   scale=float(rng.uniform(0.6, 1.5)),
                   instance=mesh.object(float(rng.normal())))  # fmt: skip


def _furniture(
    mesh: MeshBuilder, rng: Rng, line: Centreline, half: float, walk: float
) -> list[list[float]]:
    """Lamps, signs, bins, benches, bollards, overhead wires; returns the lamps' lights."""
    lights: list[list[float]] = []
    lamp = street_lamp(rng)
    head = lamp[1].shape.vertices.mean(0)
    every = float(rng.uniform(18, 38))
    for k, s in enumerate(np.arange(float(rng.uniform(2, every)), LENGTH, every)):
        sign = 1.0 if k % 2 else -1.0
        yaw = line.yaw(s) - sign * np.pi / 2
        foot = line.at(s, sign * (half + 0.45), 0.13)
        mesh.place(lamp, foot, yaw=yaw, instance=mesh.object(float(rng.normal())))
        c, w = np.cos(yaw), np.sin(yaw)
        lights.append([foot[0] + c * head[0], foot[1] + w * head[0], foot[2] + head[2] - 0.15,
                       6.0, 1.0, 0.82, 0.55])  # fmt: skip
    for _ in range(int(rng.integers(4, 14))):
        sign, s = float(rng.choice([-1, 1])), float(rng.uniform(5, LENGTH))
        yaw = line.yaw(s) + (0 if sign < 0 else np.pi) + float(rng.normal(0, 0.1))
        mesh.place(sign_post(rng), line.at(s, sign * (half + 0.5), 0.13), yaw=yaw,
                   instance=mesh.object(float(rng.normal()), any_color(rng)))  # fmt: skip
    for _ in range(int(rng.integers(4, 16))):
        sign, s = float(rng.choice([-1, 1])), float(rng.uniform(0, LENGTH))
        model: Model = bin_(rng) if rng.random() < 0.75 else bench()
        yaw = line.yaw(s) - sign * np.pi / 2
        mesh.place(model, line.at(s, sign * (half + walk - 0.5), 0.14), yaw=yaw,
                   instance=mesh.object(float(rng.normal()), any_color(rng)))  # fmt: skip
    if rng.random() < 0.3:
        who = mesh.object(float(rng.normal()))
        for s in np.arange(0, LENGTH, float(rng.uniform(2, 5))):
            mesh.add(cylinder(0.06, 0.95, sides=7).moved(line.at(s, half + 0.3, 0.13)),
                     'steel_paint', who)  # fmt: skip
    if rng.random() < 0.4:
        who = mesh.object(float(rng.normal()))
        poles = [line.at(s, half + walk - 0.3, 0.1) for s in np.arange(0, LENGTH, 32.0)]
        for foot in poles:
            mesh.add(cylinder(0.13, 8.5, sides=8).moved(foot), 'wood', who)
        for a, b in itertools.pairwise(poles):
            for z in (8.2, 7.6):
                top = np.array([0, 0, z])
                mesh.add(wire(a + top, b + top, 0.5), 'plastic', who)
    return lights


def _traffic(
    mesh: MeshBuilder, rng: Rng, line: Centreline, half: float, parking: float, movers: bool
) -> list[Mover]:
    """Parked cars, cars under way."""
    for sign in (-1.0, 1.0):
        full, s = float(rng.uniform(0.1, 0.85)), float(rng.uniform(-10, 5))
        while s < LENGTH:
            if rng.random() < full:
                model = vehicle(rng, hot=bool(rng.random() < 0.22))
                yaw = line.yaw(s) + (0.0 if sign < 0 else np.pi) + float(rng.normal(0, 0.02))
                where = line.at(s, sign * (half - parking / 2 + rng.normal(0, 0.06)))
                mesh.place(model, where, yaw=yaw,
                           instance=mesh.object(float(rng.normal()), car_color(rng)))  # fmt: skip
            s += float(rng.uniform(6.2, 9.0))
    lane = (half - parking) / 2
    driving: list[Mover] = []
    for k in range(int(rng.integers(1, 6))):
        ahead = k == 0 and rng.random() < 0.5
        d = -lane if ahead else lane
        instance = mesh.object(float(rng.normal()), car_color(rng))
        along = np.arange(0.0, LENGTH + 1, 10.0)
        way = line.at(along if ahead else along[::-1], d)
        start = float(rng.uniform(30, LENGTH))
        speed = 6.5 if ahead else float(rng.uniform(5, 12))
        model = vehicle(rng, hot=True)
        track = Trajectory(way, speed, rng, shake=0.0)
        if movers:
            own = MeshBuilder()
            own.place(model, (0, 0, 0), instance=instance)
            driving.append(Mover(own.build(), track, start, 5.2))
        else:
            position, yaw, _ = track.at(start % track.length)
            mesh.place(model, position, yaw=yaw, instance=instance)
    return driving


def _people(
    mesh: MeshBuilder, rng: Rng, line: Centreline, half: float, walk: float, movers: bool
) -> list[Mover]:
    """People who stand and people who walk."""
    walking: list[Mover] = []
    for _ in range(int(rng.integers(4, 22))):
        sign, s = float(rng.choice([-1, 1])), float(rng.uniform(5, LENGTH - 60))
        d = sign * (half + float(rng.uniform(0.5, walk - 0.3)))
        if rng.random() < 0.1:
            d = float(rng.uniform(0.3, half))
        z = 0.135 if abs(d) > half else 0.0
        instance = mesh.object(float(rng.normal()), any_color(rng))
        stride = bool(rng.random() < 0.65)
        model = person(rng, walking=stride)
        if movers and stride and len(walking) < 6:
            along = s + np.arange(0.0, 61.0, 6.0)
            way = line.at(along if rng.random() < 0.5 else along[::-1], d, z)
            own = MeshBuilder()
            own.place(model, (0, 0, 0), instance=instance)
            track = Trajectory(way, float(rng.uniform(0.9, 1.6)), rng, shake=0.0)
            walking.append(Mover(own.build(), track, float(rng.uniform(0, 60)), 1.4))
        else:
            mesh.place(model, line.at(s, d, z), yaw=float(rng.uniform(0, 6.3)), instance=instance)
    return walking


def build(rng: Rng, movers: bool) -> Parts:
    """
    Lay out a street.

    :param rng: source of the layout.
    :param movers: whether people and cars move.
    """
    mesh = MeshBuilder()
    line = Centreline(rng, LENGTH, float(rng.uniform(0, 0.012)), float(rng.uniform(0, 0.04)))
    parking = 2.1 if rng.random() < 0.8 else 0.4
    half = float(rng.uniform(2.7, 4.2)) + parking
    walk = float(rng.uniform(1.4, 4.0))
    centre = line.at(LENGTH / 2)
    _surface(mesh, rng, line, half, walk)
    plain(mesh, centre, 420.0, -6.0, 'grass')
    _houses(mesh, rng, line, half + walk)
    _plants(mesh, rng, line, half, walk)
    lights = _furniture(mesh, rng, line, half, walk)
    driving = _traffic(mesh, rng, line, half, parking, movers)
    walking = _people(mesh, rng, line, half, walk, movers)
    low = float(rng.uniform(3, 12))
    backdrop(mesh, rng, centre, 230.0, (low, low + float(rng.uniform(5, 35))))
    lane = (half - parking) / 2
    path = line.at(np.arange(8.0, LENGTH - 90, 12.0), -lane)
    return Parts(
        scene=mesh.build(),
        deltas=np.array(mesh.deltas, np.float32),
        colors=np.array(mesh.colors, np.float32),
        path=path,
        speed=float(rng.uniform(4.0, 7.0)),
        movers=tuple(driving + walking),
        lights=np.array(lights, np.float32).reshape(-1, 7),
        indoor=False,
        sway=lane * 0.9,
    )
