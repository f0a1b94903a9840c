# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Models of things that stand or move about: cars, people, plants, street furniture."""

from __future__ import annotations

import numpy as np

from monother_ros.sim.mesh import (
    Floats,
    Model,
    Part,
    Point,
    Shape,
    ball,
    box,
    boxes,
    cylinder,
    leaves,
    merge,
    prism,
    tube,
    wheel,
)

Rng = np.random.Generator

CAR_COLORS: tuple[Point, ...] = (
    (1.1, 1.1, 1.1), (0.08, 0.08, 0.09), (0.5, 0.52, 0.55), (0.7, 0.1, 0.08),
    (0.1, 0.16, 0.5), (0.12, 0.3, 0.2), (0.85, 0.8, 0.65), (0.3, 0.3, 0.32),
)  # fmt: skip


def any_color(rng: Rng) -> Point:
    """
    Factor on a reflectance, from dark to bright, of any hue.

    :param rng: source of the colour.
    """
    r, g, b = rng.uniform(0.35, 1.35, 3)
    return float(r), float(g), float(b)


def car_color(rng: Rng) -> Point:
    """
    Colour of a car.

    :param rng: source of the choice.
    """
    return CAR_COLORS[int(rng.integers(len(CAR_COLORS)))]


def _wheels(positions: list[tuple[float, float]], radius: float, width: float, hot: bool) -> Model:
    tyres = [wheel(radius, 0.22, (x, s * (width / 2 - 0.11), radius))
             for x, _ in positions for s in (-1, 1)]  # fmt: skip
    rims = [wheel(radius * 0.62, 0.25, (x, s * (width / 2 - 0.11), radius))
            for x, _ in positions for s in (-1, 1)]  # fmt: skip
    return [Part('tyre_hot' if hot else 'tyre', merge(tyres)), Part('rim', merge(rims))]


def car(rng: Rng, *, hot: bool) -> Model:
    """
    Passenger car, 3.7 to 4.9 m long.

    :param rng: source of its shape.
    :param hot: driven lately: warm bonnet, tyres, exhaust and ground below.
    """
    length = float(rng.uniform(3.7, 4.9))
    width = float(rng.uniform(1.68, 1.88))
    height = float(rng.uniform(1.40, 1.72))
    h, belt = length / 2, height * float(rng.uniform(0.60, 0.66))
    nose = belt - float(rng.uniform(0.08, 0.2))
    tail = float(rng.uniform(0.05, 0.9)) if height < 1.55 else 0.1
    body = np.array(
        [[-h + 0.05, 0.3], [h - 0.08, 0.26], [h, 0.5], [h - 0.12, nose - 0.08],
         [h - 0.4, nose], [0.25 * h, belt], [-h + 0.1, belt], [-h, 0.6]]
    )  # fmt: skip
    screen = 0.42 * h
    roof_front, roof_back = screen - 0.62 * (height - belt) * 1.5, -h + tail + 0.35
    cabin = np.array(
        [[screen + 0.1, belt - 0.05], [roof_front, height - 0.04], [roof_back, height - 0.05],
         [-h + tail + 0.06, belt - 0.05]]
    )[::-1]  # fmt: skip
    span = roof_front - roof_back
    parts = [
        Part('car_paint', prism(body, width)),
        Part('car_glass', prism(cabin, width * 0.88)),
        Part('car_paint', box((span + 0.1, width * 0.86, 0.05),
                              ((roof_front + roof_back) / 2, 0, height - 0.06))),
        Part('car_paint', merge([box((0.09, 0.06, height - belt), (x, s * width * 0.43, belt))
                                 for x in (0.1 * h, roof_back + 0.1) for s in (-1, 1)])),
        Part('plastic', box((length * 0.98, width * 0.9, 0.12), (0, 0, 0.2))),
        Part('sign', merge([box((0.1, 0.32, 0.13), (h - 0.1, s * width * 0.34, nose - 0.22))
                            for s in (-1, 1)])),
        Part('sign', box((0.06, 0.5, 0.12), (-h, 0, 0.62))),
    ]  # fmt: skip
    slope = np.array([[0.30 * h, belt - 0.02], [h - 0.38, nose - 0.02], [h - 0.38, nose + 0.015],
                      [0.30 * h, belt + 0.02]])  # fmt: skip
    parts.append(Part('car_hood' if hot else 'car_paint', prism(slope, width * 0.84)))
    if hot:
        parts.append(Part('car_hood', box((0.04, width * 0.6, 0.22), (h - 0.01, 0, 0.35))))
        parts.append(Part('exhaust', box((0.25, 0.12, 0.1), (-h + 0.02, 0.35 * width, 0.26))))
        parts.append(Part('warm_ground', box((length * 0.8, width * 0.8, 0.012), (0.1, 0, 0.0))))
    axle = h * 0.62
    return parts + _wheels([(axle, 0), (-axle, 0)], 0.31, width, hot)


def van(rng: Rng, *, hot: bool) -> Model:
    """
    Delivery van, 4.8 to 6.2 m long.

    :param rng: source of its shape.
    :param hot: driven lately.
    """
    length = float(rng.uniform(4.8, 6.2))
    width, height = float(rng.uniform(1.9, 2.1)), float(rng.uniform(2.0, 2.7))
    h = length / 2
    body = np.array(
        [[-h, 0.35], [h - 0.05, 0.32], [h, 0.75], [h - 0.55, 1.1], [h - 1.25, height * 0.93],
         [h - 1.6, height], [-h, height]]
    )  # fmt: skip
    screen = np.array(
        [[h - 0.60, 1.13], [h - 0.57, 1.13], [h - 1.22, height * 0.90], [h - 1.26, height * 0.90]]
    )
    parts = [
        Part('car_paint', prism(body, width)),
        Part('car_glass', prism(screen + np.full(2, 0.02), width * 0.86)),
        Part('car_glass', box((0.7, width + 0.02, 0.55), (h - 1.35, 0, 1.15))),
        Part('car_glass', box((0.04, width * 0.7, 0.5), (-h, 0, height - 0.95))),
        Part('sign', merge([box((0.1, 0.3, 0.16), (h - 0.1, s * width * 0.36, 0.72))
                            for s in (-1, 1)])),
    ]  # fmt: skip
    if hot:
        parts.append(Part('car_hood', box((0.05, width * 0.7, 0.3), (h - 0.0, 0, 0.42))))
        parts.append(Part('warm_ground', box((length * 0.7, width * 0.8, 0.012))))
    return parts + _wheels([(h * 0.62, 0), (-h * 0.6, 0)], 0.34, width, hot)


def truck(rng: Rng, *, hot: bool) -> Model:
    """
    Box truck, 6.5 to 9 m long.

    :param rng: source of its shape.
    :param hot: driven lately.
    """
    length, height = float(rng.uniform(6.5, 9.0)), float(rng.uniform(2.9, 3.6))
    h = length / 2
    parts = [
        Part('steel_paint', box((length - 2.2, 2.4, height - 0.95), (-1.1, 0, 0.95))),
        Part('car_paint', box((1.8, 2.25, 2.0), (h - 0.95, 0, 0.5))),
        Part('car_glass', box((0.05, 2.0, 0.75), (h - 0.05, 0, 1.55))),
        Part('car_glass', box((0.8, 2.28, 0.65), (h - 0.7, 0, 1.55))),
        Part('steel', box((length - 1.0, 1.0, 0.25), (0, 0, 0.55))),
    ]
    if hot:
        parts.append(Part('car_hood', box((0.05, 1.8, 0.55), (h - 0.04, 0, 0.6))))
        parts.append(Part('warm_ground', box((3.0, 2.0, 0.012), (h - 1.5, 0, 0))))
    return parts + _wheels([(h * 0.72, 0), (-h * 0.55, 0)], 0.46, 2.35, hot)


def vehicle(rng: Rng, *, hot: bool) -> Model:
    """
    Some road vehicle.

    :param rng: source of kind and shape.
    :param hot: driven lately.
    """
    kind = rng.random()
    if kind < 0.80:
        return car(rng, hot=hot)
    return van(rng, hot=hot) if kind < 0.93 else truck(rng, hot=hot)


def person(rng: Rng, *, walking: bool = False) -> Model:
    """
    Adult or child of 1.2 to 1.95 m, in summer or winter clothes.

    :param rng: source of size and posture.
    :param walking: legs and arms apart.
    """
    stride = float(rng.uniform(0.16, 0.3)) if walking else float(rng.uniform(0.02, 0.10))
    girth = float(rng.uniform(0.9, 1.2))
    swing = stride * 0.9
    bare = rng.random() < 0.4
    legs = [
        tube(np.array([[s * stride, s * 0.10, 0.05], [s * stride * 0.45, s * 0.10, 0.47],
                       [0, s * 0.08, 0.88]]), np.array([0.055, 0.07, 0.095]) * girth, 7)
        for s in (-1, 1)
    ]  # fmt: skip
    arms = [
        tube(np.array([[-s * swing + 0.08, s * 0.27, 0.82], [-s * swing * 0.6, s * 0.27, 1.06],
                       [0, s * 0.19 * girth, 1.42]]), np.array([0.035, 0.045, 0.06]) * girth, 6)
        for s in (-1, 1)
    ]  # fmt: skip
    hands = [ball((0.05, 0.04, 0.06), (-s * swing + 0.09, s * 0.27, 0.76), 4, 6) for s in (-1, 1)]
    trunk = tube(
        np.array([[0, 0, 0.82], [0.01, 0, 1.0], [0.0, 0, 1.25], [0.0, 0, 1.43], [0, 0, 1.48]]),
        np.array([0.16, 0.155, 0.18, 0.15, 0.07]) * girth, 9
    )  # fmt: skip
    trunk = Shape(trunk.vertices * [0.72, 1.12, 1.0], trunk.faces)
    parts = [
        Part('trousers', merge(legs)),
        Part('cloth', trunk),
        Part('skin' if bare else 'cloth', merge(arms)),
        Part('skin', merge(hands)),
        Part('skin', cylinder(0.055, 0.12, (0, 0, 1.45), 7)),
        Part('skin', ball((0.095, 0.078, 0.125), (0.015, 0, 1.62), 6, 8)),
        Part('hair', ball((0.1, 0.085, 0.11), (-0.015, 0, 1.66), 6, 8)),
        Part('tyre', merge([box((0.26, 0.09, 0.09), (s * stride + 0.04, s * 0.10, 0))
                            for s in (-1, 1)])),
    ]  # fmt: skip
    if rng.random() < 0.3:
        parts.append(Part('plastic', box((0.16, 0.3, 0.42), (-0.2, 0, 1.0))))
    size = float(rng.uniform(0.9, 1.12)) if rng.random() < 0.88 else float(rng.uniform(0.68, 0.8))
    return [Part(p.material, p.shape.moved(scale=size)) for p in parts]


def _limbs(rng: Rng, count: int, height: float, reach: float, base: float) -> tuple[Model, Floats]:
    """Branches from a trunk; returns them with the points where they end."""
    shapes, tips = [], []
    for _ in range(count):
        start = float(rng.uniform(base, height * 0.9))
        turn = float(rng.uniform(0, 2 * np.pi))
        out = reach * float(rng.uniform(0.5, 1.0)) * (1.15 - 0.55 * start / height)
        rise = out * float(rng.uniform(0.25, 1.0))
        way = np.array([np.cos(turn), np.sin(turn)])
        points = np.zeros((3, 3))
        points[:, :2] = np.outer([0, 0.5, 1.0], way * out) + rng.normal(0, 0.05 * out, (3, 2))
        points[0, :2] = 0
        points[:, 2] = start + np.array([0, 0.4, 1.0]) * rise
        thick = 0.022 * height * float(rng.uniform(0.35, 0.7))
        shapes.append(tube(points, np.array([thick, thick * 0.6, thick * 0.25]), 5))
        tips += [points[1], points[2]]
    return [Part('bark', merge(shapes))], np.array(tips)


def broadleaf(rng: Rng, *, bare: bool = False, detail: int = 1300) -> Model:
    """
    Broad-leaved tree about 7 m high.

    :param rng: source of its growth.
    :param bare: without leaves.
    :param detail: number of leaf triangles.
    """
    height = float(rng.uniform(5.5, 8.5))
    bend = rng.normal(0, 0.12, (5, 2)).cumsum(0)
    points = np.zeros((5, 3))
    points[:, :2] = bend - bend[:1]
    points[:, 2] = np.linspace(0, height * 0.88, 5)
    radius = height * float(rng.uniform(0.016, 0.03))
    trunk = tube(points, radius * np.array([1.35, 1.0, 0.8, 0.55, 0.2]), 9)
    base = height * float(rng.uniform(0.25, 0.4))
    limbs, tips = _limbs(rng, int(rng.integers(9, 16)), height, height * 0.34, base)
    model: Model = [Part('bark', trunk), *limbs]
    if not bare:
        around = tips[rng.integers(len(tips), size=detail)]
        spread = height * float(rng.uniform(0.055, 0.085))
        centres = around + rng.normal(0, spread, (detail, 3)) * [1, 1, 0.8]
        centres[:, 2] = np.maximum(centres[:, 2], base * 0.8)
        model.append(Part('foliage', leaves(centres, height * 0.043, rng)))
    return model


def conifer(rng: Rng, *, detail: int = 1200) -> Model:
    """
    Conifer about 9 m high.

    :param rng: source of its growth.
    :param detail: number of needle triangles.
    """
    height = float(rng.uniform(6.5, 12))
    radius = height * float(rng.uniform(0.011, 0.018))
    trunk = tube(
        np.array([[0, 0, 0], [0, 0, height * 0.5], [0, 0, height]]),
        radius * np.array([1.2, 0.8, 0.1]), 8
    )  # fmt: skip
    clear = height * float(rng.uniform(0.05, 0.4))
    level = clear + (height - clear) * rng.beta(1.0, 1.7, detail)
    reach = (height - level) / (height - clear) * height * float(rng.uniform(0.14, 0.22)) + 0.1
    turn = rng.uniform(0, 2 * np.pi, detail)
    out = reach * np.sqrt(rng.uniform(0.03, 1, detail))
    centres = np.stack([out * np.cos(turn), out * np.sin(turn), level - 0.25 * out], 1)
    return [Part('bark', trunk), Part('foliage', leaves(centres, height * 0.038, rng))]


def bush(rng: Rng, *, detail: int = 420) -> Model:
    """
    Bush about 1.2 m high.

    :param rng: source of its growth.
    :param detail: number of leaf triangles.
    """
    direction = rng.normal(size=(detail, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    centres = direction * rng.uniform(0.55, 1.0, (detail, 1)) * rng.uniform(0.5, 0.9, 3)
    centres[:, 2] = np.abs(centres[:, 2]) * 1.4
    core = ball((0.3, 0.3, 0.4), (0, 0, 0.35), 5, 7)
    return [Part('foliage', leaves(centres, 0.17, rng)), Part('foliage', core)]


def rock(rng: Rng) -> Model:
    """
    Boulder about 1 m across.

    :param rng: source of its form.
    """
    shape = ball((0.5, 0.4, 0.35), (0, 0, 0.1), 6, 9)
    lumps = 1 + 0.25 * np.sin(shape.vertices @ rng.normal(0, 4, (3, 3)) + rng.uniform(0, 6, 3))
    return [Part('rock', Shape(shape.vertices * lumps, shape.faces))]


def street_lamp(rng: Rng) -> Model:
    """
    Lamp post with an arm along +x.

    :param rng: source of its size.
    """
    height, arm = float(rng.uniform(5.0, 8.5)), float(rng.uniform(0.6, 2.0))
    line = np.array([[0, 0, 0], [0, 0, height - 0.4], [0.25 * arm, 0, height], [arm, 0, height]])
    return [
        Part('steel_paint', tube(line, np.array([0.09, 0.06, 0.05, 0.04]), 8)),
        Part('lamp', box((0.6, 0.22, 0.1), (arm, 0, height - 0.06))),
        Part('steel_paint', box((0.3, 0.25, 0.6))),
    ]


def sign_post(rng: Rng) -> Model:
    """
    Traffic sign that faces -x.

    :param rng: source of its kind.
    """
    height = float(rng.uniform(2.1, 2.8))
    if rng.random() < 0.5:
        plate = wheel(0.32, 0.02, (0, 0, 0), 14).moved(yaw=np.pi / 2)
        plate = plate.moved((-0.05, 0, height - 0.3))
    else:
        size = rng.uniform(0.4, 1.1, 2)
        plate = box((0.02, float(size[0]), float(size[1]) * 0.7), (-0.05, 0, height - 0.7))
    return [Part('steel', cylinder(0.035, height, sides=6)), Part('sign', plate)]


def barrel() -> Model:
    """Steel drum, 0.9 m high."""
    return [
        Part('steel_paint', cylinder(0.29, 0.88, sides=14)),
        Part('steel_paint', merge([cylinder(0.305, 0.03, (0, 0, z), 14) for z in (0.28, 0.58)])),
    ]


def pallet(rng: Rng, *, load: bool = True) -> Model:
    """
    Wooden pallet, most often with boxes on it.

    :param rng: source of the load.
    :param load: whether boxes may stand on it.
    """
    deck = [[1.2, 0.13, 0.022]] * 6 + [[0.1, 0.8, 0.1]] * 3
    where = [[0, y, 0.12] for y in np.linspace(-0.33, 0.33, 6)] + [
        [x, 0, 0] for x in (-0.5, 0, 0.5)
    ]
    model: Model = [Part('wood', boxes(np.array(deck), np.array(where)))]
    if load and rng.random() < 0.75:
        layers = int(rng.integers(1, 5))
        size = np.array([0.55, 0.36, float(rng.uniform(0.22, 0.38))])
        spots = [[x, y, 0.145 + k * size[2]] for k in range(layers)
                 for x in (-0.29, 0.29) for y in (-0.19, 0.19) if rng.random() < 0.9]  # fmt: skip
        if spots:
            crates = boxes(np.tile(size, (len(spots), 1)), np.array(spots))
            model.append(Part('cardboard' if rng.random() < 0.7 else 'plastic', crates))
    return model


def bin_(rng: Rng) -> Model:
    """
    Wheeled rubbish bin.

    :param rng: source of its size.
    """
    width, height = float(rng.uniform(0.5, 0.75)), float(rng.uniform(0.95, 1.2))
    return [
        Part('plastic', box((0.55, width, height))),
        Part('plastic', box((0.65, width + 0.06, 0.08), (0.03, 0, height))),
    ]


def bench() -> Model:
    """Park bench along y."""
    planks = boxes(
        np.array([[0.14, 1.6, 0.04]] * 3 + [[0.04, 1.6, 0.12]] * 2),
        np.array([[-0.16, 0, 0.43], [0, 0, 0.43], [0.16, 0, 0.43], [-0.26, 0, 0.58],
                  [-0.28, 0, 0.76]]),
    )  # fmt: skip
    legs = boxes(np.array([[0.42, 0.06, 0.43]] * 2), np.array([[0, -0.65, 0], [0, 0.65, 0]]))
    return [Part('wood', planks), Part('steel_paint', legs)]


def wire(start: Floats, end: Floats, sag: float, radius: float = 0.02) -> Shape:
    """
    Hanging cable.

    :param start: (3,) metres.
    :param end: (3,) metres.
    :param sag: metres at the middle.
    :param radius: metres.
    """
    u = np.linspace(0, 1, 9)[:, None]
    line = start * (1 - u) + end * u
    line[:, 2] -= 4 * sag * (u * (1 - u))[:, 0]
    return tube(line, np.full(9, radius), 4)
