# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Triangle meshes put together from simple shapes, each face with a material and an object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monother_ros.sim.materials import MATERIAL_INDEX
from monother_ros.sim.raycast import RayScene

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Point = tuple[float, float, float]

_BOX_FACES = np.array(
    [
        [0, 2, 1], [0, 3, 2], [4, 5, 6], [4, 6, 7], [0, 1, 5], [0, 5, 4],
        [1, 2, 6], [1, 6, 5], [2, 3, 7], [2, 7, 6], [3, 0, 4], [3, 4, 7],
    ]
)  # fmt: skip
_BOX_CORNERS = np.array(
    [
        [-0.5, -0.5, 0], [0.5, -0.5, 0], [0.5, 0.5, 0], [-0.5, 0.5, 0],
        [-0.5, -0.5, 1], [0.5, -0.5, 1], [0.5, 0.5, 1], [-0.5, 0.5, 1],
    ]
)  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """
    A piece of surface.

    :param vertices: (V, 3) metres.
    :param faces: (F, 3) vertex indices.
    """

    vertices: Floats
    faces: Ints

    def moved(
        self,
        offset: Point | Floats = (0.0, 0.0, 0.0),
        *,
        yaw: float = 0.0,
        pitch: float = 0.0,
        scale: float | tuple[float, float, float] = 1.0,
    ) -> Shape:
        """
        Scaled, then pitched (nose down), then turned to the left, then moved.

        :param offset: metres.
        :param yaw: radians about z.
        :param pitch: radians about y.
        :param scale: one factor or one per axis.
        """
        v = self.vertices * np.asarray(scale, np.float64)
        if pitch:
            c, s = np.cos(pitch), np.sin(pitch)
            v = v @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T
        if yaw:
            c, s = np.cos(yaw), np.sin(yaw)
            v = v @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]).T
        return Shape(v + np.asarray(offset, np.float64), self.faces)


def box(size: Point, offset: Point = (0.0, 0.0, 0.0)) -> Shape:
    """
    Upright box whose bottom centre is at the offset.

    :param size: lengths along x, y, z in metres.
    :param offset: metres.
    """
    return Shape(_BOX_CORNERS * np.asarray(size) + np.asarray(offset), _BOX_FACES)


def boxes(sizes: Floats, offsets: Floats) -> Shape:
    """
    Many upright boxes at once.

    :param sizes: (N, 3) lengths along x, y, z in metres.
    :param offsets: (N, 3) bottom centres in metres.
    """
    v = _BOX_CORNERS[None] * sizes[:, None] + offsets[:, None]
    faces = _BOX_FACES[None] + 8 * np.arange(len(sizes))[:, None, None]
    return Shape(v.reshape(-1, 3), faces.reshape(-1, 3))


def prism(profile: Floats, length: float) -> Shape:
    """
    A convex outline in the x-z plane drawn out along y, centred on y = 0.

    :param profile: (N, 2) x and z in metres, counter-clockwise seen from -y.
    :param length: metres along y.
    """
    n = len(profile)
    flat = np.zeros((2 * n, 3))
    flat[:n, 0] = flat[n:, 0] = profile[:, 0]
    flat[:n, 2] = flat[n:, 2] = profile[:, 1]
    flat[:n, 1], flat[n:, 1] = -length / 2, length / 2
    i = np.arange(n)
    j = (i + 1) % n
    sides = np.concatenate([np.stack([i, j, j + n], 1), np.stack([i, j + n, i + n], 1)])
    k = np.arange(1, n - 1)
    cap = np.stack([np.zeros_like(k), k, k + 1], 1)
    return Shape(flat, np.concatenate([sides, cap[:, ::-1], cap + n]))


def tube(points: Floats, radii: Floats, sides: int = 8) -> Shape:
    """
    Round tube along a line (a pipe, a trunk, a limb), closed at both ends.

    :param points: (N, 3) centre line in metres.
    :param radii: (N,) metres.
    :param sides: facets around.
    """
    along = np.gradient(points, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    helper = np.where(np.abs(along[:, 2:3]) > 0.9, [[1.0, 0, 0]], [[0, 0, 1.0]])
    side = np.cross(along, helper)
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    up = np.cross(side, along)
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    ring = (
        np.cos(angle)[None, :, None] * side[:, None] + np.sin(angle)[None, :, None] * up[:, None]
    )
    v = points[:, None] + ring * radii[:, None, None]
    n = len(points)
    i, k = np.meshgrid(np.arange(n - 1), np.arange(sides), indexing='ij')
    a, b = i * sides + k, i * sides + (k + 1) % sides
    skin = np.concatenate(
        [
            np.stack([a, b, b + sides], -1).reshape(-1, 3),
            np.stack([a, b + sides, a + sides], -1).reshape(-1, 3),
        ]
    )
    m = np.arange(1, sides - 1)
    cap = np.stack([np.zeros_like(m), m + 1, m], 1)
    last = (n - 1) * sides
    return Shape(v.reshape(-1, 3), np.concatenate([skin, cap, cap[:, ::-1] + last]))


def cylinder(
    radius: float, height: float, offset: Point = (0.0, 0.0, 0.0), sides: int = 10
) -> Shape:
    """
    Upright cylinder whose bottom centre is at the offset.

    :param radius: metres.
    :param height: metres.
    :param offset: metres.
    :param sides: facets around.
    """
    line = np.array([[0, 0, 0], [0, 0, height]], np.float64) + np.asarray(offset)
    return tube(line, np.full(2, radius), sides)


def wheel(radius: float, width: float, offset: Point, sides: int = 14) -> Shape:
    """
    Cylinder lying along y, centred on the offset.

    :param radius: metres.
    :param width: metres.
    :param offset: metres.
    :param sides: facets around.
    """
    line = np.array([[0, -width / 2, 0], [0, width / 2, 0]]) + np.asarray(offset)
    return tube(line, np.full(2, radius), sides)


def ball(radii: Point, offset: Point = (0.0, 0.0, 0.0), rings: int = 6, sides: int = 10) -> Shape:
    """
    Ellipsoid centred on the offset.

    :param radii: half axes in metres.
    :param offset: metres.
    :param rings: facets from pole to pole.
    :param sides: facets around.
    """
    lat = np.linspace(-np.pi / 2, np.pi / 2, rings + 1)
    lon = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    unit = np.stack(
        [
            np.cos(lat)[:, None] * np.cos(lon),
            np.cos(lat)[:, None] * np.sin(lon),
            np.broadcast_to(np.sin(lat)[:, None], (rings + 1, sides)),
        ],
        -1,
    )
    i, k = np.meshgrid(np.arange(rings), np.arange(sides), indexing='ij')
    a, b = i * sides + k, i * sides + (k + 1) % sides
    faces = np.concatenate(
        [
            np.stack([a, b, b + sides], -1).reshape(-1, 3),
            np.stack([a, b + sides, a + sides], -1).reshape(-1, 3),
        ]
    )
    return Shape(unit.reshape(-1, 3) * np.asarray(radii) + np.asarray(offset), faces)


def grid(x: Floats, y: Floats, z: Floats) -> Shape:
    """
    Surface over a grid of points.

    :param x: (M, N) metres.
    :param y: (M, N) metres.
    :param z: (M, N) metres.
    """
    m, n = x.shape
    i, k = np.meshgrid(np.arange(m - 1), np.arange(n - 1), indexing='ij')
    a = i * n + k
    faces = np.concatenate(
        [
            np.stack([a, a + n, a + n + 1], -1).reshape(-1, 3),
            np.stack([a, a + n + 1, a + 1], -1).reshape(-1, 3),
        ]
    )
    return Shape(np.stack([x, y, z], -1).reshape(-1, 3).astype(np.float64), faces)


def leaves(
    centres: Floats, size: float, rng: np.random.Generator, *, upright: float = 0.0
) -> Shape:
    """
    Loose triangles in all directions: foliage, grass, rubble seen from afar.

    :param centres: (N, 3) metres.
    :param size: typical edge in metres.
    :param rng: source of orientation and size.
    :param upright: pulls one corner upwards (blades), in [0, 1].
    """
    n = len(centres)
    corners = rng.normal(0, 0.5 * size, (n, 3, 3))
    corners[:, 0, 2] += upright * size * 1.5
    v = centres[:, None] + corners
    return Shape(v.reshape(-1, 3), np.arange(3 * n).reshape(n, 3))


def merge(shapes: list[Shape]) -> Shape:
    """
    One shape from several.

    :param shapes: at least one.
    """
    starts = np.cumsum([0] + [len(s.vertices) for s in shapes[:-1]])
    return Shape(
        np.concatenate([s.vertices for s in shapes]),
        np.concatenate([s.faces + start for s, start in zip(shapes, starts, strict=True)]),
    )


@dataclass(frozen=True)
class Part:
    """A shape of one material inside of an object model."""

    material: str
    shape: Shape


Model = list[Part]
"""An object in its own frame: x forward, z up, standing on z = 0 at the origin."""


class MeshBuilder:
    """Collects shapes with their materials and objects."""

    def __init__(self) -> None:
        self._vertices: list[Floats] = []
        self._faces: list[Ints] = []
        self._material: list[NDArray[np.uint8]] = []
        self._instance: list[NDArray[np.uint16]] = []
        self._count = 0
        self.deltas: list[float] = [0.0]
        self.colors: list[Point] = [(1.0, 1.0, 1.0)]

    def object(self, delta: float = 0.0, color: Point = (1.0, 1.0, 1.0)) -> int:
        """
        Register an object.

        :param delta: its own standard-normal temperature deviation, multiplied by the spread of
            each of its materials.
        :param color: factor on the visible reflectance.
        :returns: its index for `add`.
        """
        self.deltas.append(delta)
        self.colors.append(color)
        return len(self.deltas) - 1

    def add(self, shape: Shape, material: str, instance: int = 0) -> None:
        """
        Put a shape into the mesh.

        :param shape: in world coordinates, metres.
        :param material: name in `MATERIAL_INDEX`.
        :param instance: from `object`.
        """
        self._vertices.append(shape.vertices)
        self._faces.append(shape.faces + self._count)
        self._count += len(shape.vertices)
        self._material.append(np.full(len(shape.faces), MATERIAL_INDEX[material], np.uint8))
        self._instance.append(np.full(len(shape.faces), instance, np.uint16))

    def place(
        self,
        model: Model,
        offset: Point | Floats,
        *,
        yaw: float = 0.0,
        scale: float | tuple[float, float, float] = 1.0,
        instance: int = 0,
    ) -> None:
        """
        Put an object model into the mesh.

        :param model: parts in the object's own frame.
        :param offset: where its origin comes to lie, metres.
        :param yaw: turn to the left, radians.
        :param scale: one factor or one per axis.
        :param instance: from `object`.
        """
        for part in model:
            self.add(part.shape.moved(offset, yaw=yaw, scale=scale), part.material, instance)

    @property
    def triangles(self) -> int:
        """Number of triangles so far."""
        return sum(len(f) for f in self._faces)

    def build(self) -> RayScene:
        """
        Mesh ready to be ray-cast.

        :raises SimulationError: nothing was added, or Embree is missing.
        """
        if not self._faces:
            none = np.zeros(0, np.int64)
            return RayScene(np.zeros((0, 3)), np.zeros((0, 3), np.int64), none, none)
        return RayScene(
            np.concatenate(self._vertices),
            np.concatenate(self._faces),
            np.concatenate(self._material),
            np.concatenate(self._instance),
        )
