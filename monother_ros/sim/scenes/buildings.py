# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Buildings: houses and blocks with windows and doors, sheds, walls, fences."""

from __future__ import annotations

import itertools

import numpy as np

from monother_ros.sim.mesh import (
    Floats,
    MeshBuilder,
    Point,
    box,
    boxes,
    cylinder,
    merge,
    prism,
    tube,
)
from monother_ros.sim.scenes.objects import any_color

Rng = np.random.Generator


def _tone(rng: Rng) -> Point:
    r, g, b = rng.uniform(0.7, 1.2) * rng.uniform(0.85, 1.15, 3)
    return float(r), float(g), float(b)


def _openings(rng: Rng, width: float, height: float, storey: float) -> tuple[Floats, Floats]:
    """Sizes and centres (along the wall, bottom) of the windows of one wall."""
    pitch = float(rng.uniform(1.9, 3.4))
    columns = max(int((width - 0.8) / pitch), 1)
    floors = max(int(height / storey), 1)
    w, h = pitch * float(rng.uniform(0.4, 0.66)), storey * float(rng.uniform(0.38, 0.6))
    sill = storey * float(rng.uniform(0.26, 0.36))
    along = (np.arange(columns) - (columns - 1) / 2) * pitch
    x, z = np.meshgrid(along, np.arange(floors) * storey + sill)
    keep = rng.random(x.size) < 0.94
    centres = np.stack([x.ravel(), z.ravel()], 1)[keep]
    return np.tile([w, h], (len(centres), 1)), centres


def house(
    mesh: MeshBuilder,
    rng: Rng,
    offset: Floats,
    *,
    yaw: float,
    width: float,
    depth: float,
    height: float,
    front_only: bool = False,
) -> None:
    """
    House whose front wall faces -y before it is turned.

    :param mesh: where to put it.
    :param rng: source of its look.
    :param offset: (3,) middle of the front wall's foot, metres.
    :param yaw: radians.
    :param width: metres along its front.
    :param depth: metres.
    :param height: metres to the eaves.
    :param front_only: windows on the front wall only.
    """
    wall = str(rng.choice(['brick', 'plaster', 'plaster', 'concrete']))
    shell = mesh.object(float(rng.normal()), _tone(rng))
    panes = [mesh.object(float(rng.normal(scale=1.3)), (1.0, 1.0, 1.0)) for _ in range(4)]
    frames = mesh.object(float(rng.normal()), _tone(rng))
    # foundations reach below sloping ground
    mesh.add(box((width, depth, height + 1.5), (0, depth / 2, -1.5)).moved(offset, yaw=yaw), wall,
             shell)  # fmt: skip
    storey = float(rng.uniform(2.7, 3.4))
    walls = [(0.0, width, (0.0, 0.0))]
    if not front_only:
        walls += [
            (-np.pi / 2, depth, (-width / 2, depth / 2)),
            (np.pi / 2, depth, (width / 2, depth / 2)),
        ]
    shop = height > 6 and rng.random() < 0.3
    for turn, length, middle in walls:
        sizes, centres = _openings(rng, length, height, storey)
        if shop and turn == 0.0:
            high = centres[:, 1] > storey
            sizes, centres = sizes[high], centres[high]
            n = max(int(width / 3.2), 1)
            spots = (np.arange(n) - (n - 1) / 2) * 3.2
            sizes = np.concatenate([sizes, np.tile([2.7, 2.1], (n, 1))])
            centres = np.concatenate([centres, np.stack([spots, np.full(n, 0.4)], 1)])
        if len(sizes) == 0:
            continue
        group = rng.integers(len(panes), size=len(sizes))
        for k, (extra, out) in enumerate(((0.14, 0.10), (0.0, 0.14))):
            full = np.stack(
                [sizes[:, 0] + extra, np.full(len(sizes), out), sizes[:, 1] + extra], 1
            )
            where = np.stack([centres[:, 0], np.zeros(len(sizes)), centres[:, 1] - extra / 2], 1)
            if k == 0:
                shape = boxes(full, where).moved((*middle, 0.0), yaw=turn)
                mesh.add(shape.moved(offset, yaw=yaw), 'window_frame', frames)
                continue
            for g, pane in enumerate(panes):
                chosen = group == g
                if chosen.any():
                    shape = boxes(full[chosen], where[chosen]).moved((*middle, 0.0), yaw=turn)
                    mesh.add(shape.moved(offset, yaw=yaw), 'glass', pane)
    entrance = float(rng.uniform(-0.35, 0.35)) * width
    door = box((1.05, 0.2, 2.15), (entrance, 0, 0)).moved(offset, yaw=yaw)
    mesh.add(door, 'door', mesh.object(float(rng.normal()), any_color(rng)))
    _roof(mesh, rng, offset, yaw=yaw, size=(width, depth, height))
    if height > 6 and rng.random() < 0.4:
        floors = np.arange(1, max(int(height / storey), 2))
        places = np.array([[x, -0.6, f * storey] for f in floors for x in (-width / 4, width / 4)])
        slabs = boxes(np.tile([2.4, 1.2, 0.18], (len(places), 1)), places)
        rails = boxes(np.tile([2.4, 0.06, 1.0], (len(places), 1)), places - [0, 0.57, 0])
        mesh.add(slabs.moved(offset, yaw=yaw), 'concrete', shell)
        mesh.add(rails.moved(offset, yaw=yaw), 'steel_paint', frames)


def _roof(
    mesh: MeshBuilder, rng: Rng, offset: Floats, *, yaw: float, size: tuple[float, float, float]
) -> None:
    width, depth, height = size
    cover = mesh.object(float(rng.normal()), _tone(rng))
    if height < 9 and rng.random() < 0.75:
        rise = depth * float(rng.uniform(0.25, 0.5))
        half = depth / 2 + 0.35
        outline = np.array([[-half, 0.0], [half, 0.0], [0.0, rise]])
        gable = prism(outline, width + 0.5).moved((0, 0, 0), yaw=np.pi / 2)
        mesh.add(gable.moved((0, depth / 2, height)).moved(offset, yaw=yaw), 'roof', cover)
        if rng.random() < 0.6:
            stack = box((0.6, 0.5, rise + 0.6), (width * float(rng.uniform(-0.3, 0.3)),
                                                 depth * 0.45, height))  # fmt: skip
            mesh.add(stack.moved(offset, yaw=yaw), 'brick', mesh.object(float(rng.normal(1.5))))
    else:
        edge = box((width + 0.2, depth + 0.2, 0.5), (0, depth / 2, height))
        mesh.add(edge.moved(offset, yaw=yaw), 'concrete', cover)


def fence(
    mesh: MeshBuilder, rng: Rng, line: Floats, *, height: float, kind: str | None = None
) -> None:
    """
    Fence, hedge-high wall or railing along a line on the ground.

    :param mesh: where to put it.
    :param rng: source of its look.
    :param line: (N, 3) metres.
    :param height: metres.
    :param kind: wall, planks, rail or mesh; drawn if not given.
    """
    kind = kind or str(rng.choice(['wall', 'planks', 'rail', 'mesh']))
    who = mesh.object(float(rng.normal()), any_color(rng) if kind == 'planks' else _tone(rng))
    for a, b in itertools.pairwise(line):
        step = b - a
        length = float(np.hypot(step[0], step[1]))
        if length < 0.05:
            continue
        yaw = float(np.arctan2(step[1], step[0]))
        foot = (a + b) / 2
        foot[2] = min(a[2], b[2])
        if kind == 'wall':
            shape = box((length + 0.1, 0.24, height + 0.4), (0, 0, -0.4))
            mesh.add(shape.moved(foot, yaw=yaw), 'brick' if who % 2 else 'concrete', who)
            cap = box((length + 0.1, 0.32, 0.07), (0, 0, height))
            mesh.add(cap.moved(foot, yaw=yaw), 'concrete', who)
            continue
        posts = max(int(length / 2.0), 1)
        at = np.linspace(-length / 2, length / 2, posts + 1)
        if kind == 'planks':
            n = max(int(length / 0.16), 1)
            x = (np.arange(n) + 0.5) * length / n - length / 2
            tall = height + rng.normal(0, 0.015, n)
            sizes = np.stack([np.full(n, 0.125), np.full(n, 0.02), tall], 1)
            spots = np.stack([x, np.zeros(n), np.full(n, 0.05)], 1)
            mesh.add(boxes(sizes, spots).moved(foot, yaw=yaw), 'wood', who)
            rails = boxes(np.array([[length, 0.05, 0.08]] * 2),
                          np.array([[0, 0.03, 0.3], [0, 0.03, height - 0.25]]))  # fmt: skip
            mesh.add(rails.moved(foot, yaw=yaw), 'wood', who)
            continue
        metal = 'steel_paint' if who % 3 else 'steel'
        stakes = merge([cylinder(0.03, height, (float(x), 0, 0), 6) for x in at])
        mesh.add(stakes.moved(foot, yaw=yaw), metal, who)
        if kind == 'rail':
            levels = np.linspace(0.35, height, 3)
            bars = np.array([[length, 0.04, 0.05]] * 3)
            where = np.stack([np.zeros(3), np.zeros(3), levels - 0.05], 1)
            mesh.add(boxes(bars, where).moved(foot, yaw=yaw), metal, who)
        else:
            n = max(int(length / 0.22), 1)
            x = (np.arange(n) + 0.5) * length / n - length / 2
            bars = np.tile([0.025, 0.025, height], (n, 1))
            where = np.stack([x, np.zeros(n), np.zeros(n)], 1)
            mesh.add(boxes(bars, where).moved(foot, yaw=yaw), metal, who)
            caps = boxes(np.array([[length, 0.04, 0.04]] * 2),
                         np.array([[0, 0, 0.15], [0, 0, height - 0.1]]))  # fmt: skip
            mesh.add(caps.moved(foot, yaw=yaw), metal, who)


def downpipe(mesh: MeshBuilder, foot: Floats, height: float, who: int) -> None:
    """
    Rain pipe on a wall.

    :param mesh: where to put it.
    :param foot: (3,) metres.
    :param height: metres.
    :param who: object index.
    """
    line = np.stack([foot, foot + np.array([0, 0, height])])
    mesh.add(tube(line, np.full(2, 0.055), 6), 'steel', who)
