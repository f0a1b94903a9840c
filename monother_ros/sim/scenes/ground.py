# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ground to build on: a winding centre line, strips along it, distant surroundings."""

from __future__ import annotations

import numpy as np

from monother_ros.sim.mesh import Floats, MeshBuilder, Shape, grid

Rng = np.random.Generator


class Centreline:
    """
    A gently winding and rolling line that a street or a path follows.

    Places are given as (s, d): metres along it and metres to its left.

    :param rng: source of its course.
    :param length: metres.
    :param bend: largest curvature, 1/m.
    :param slope: largest slope.
    """

    def __init__(self, rng: Rng, length: float, bend: float, slope: float) -> None:
        self.length = length
        s = np.arange(-60.0, length + 60.5, 0.5)
        wave = rng.uniform(60, 220, 3)
        phase = rng.uniform(0, 2 * np.pi, 4)
        curvature = bend * (
            0.7 * np.sin(2 * np.pi * s / wave[0] + phase[0])
            + 0.3 * np.sin(2 * np.pi * s / (0.5 * wave[1]) + phase[1])
        )
        heading = np.cumsum(curvature) * 0.5
        x, y = np.cumsum(np.cos(heading)) * 0.5, np.cumsum(np.sin(heading)) * 0.5
        rise = slope * wave[2] / (2 * np.pi)
        z = rise * np.sin(2 * np.pi * s / wave[2] + phase[2])
        self._s, self._heading = s, heading
        self._line = np.stack([x, y, z], 1)

    def at(self, s: Floats | float, d: Floats | float = 0.0, z: Floats | float = 0.0) -> Floats:
        """
        World coordinates.

        :param s: metres along, any shape.
        :param d: metres to the left, same shape or one number.
        :param z: metres above the line, same shape or one number.
        :returns: (..., 3) metres.
        """
        s = np.asarray(s, np.float64)
        p = np.stack([np.interp(s, self._s, self._line[:, i]) for i in range(3)], -1)
        heading = np.interp(s, self._s, self._heading)
        p[..., 0] -= np.sin(heading) * d
        p[..., 1] += np.cos(heading) * d
        p[..., 2] += z
        return p

    def yaw(self, s: float) -> float:
        """
        Heading.

        :param s: metres along.
        :returns: radians.
        """
        return float(np.interp(s, self._s, self._heading))

    def strip(
        self,
        d: tuple[float, float],
        z: tuple[float, float] = (0.0, 0.0),
        s: tuple[float, float] | None = None,
        *,
        step: float = 4.0,
    ) -> Shape:
        """
        Band along the line.

        :param d: right and left edge in metres.
        :param z: height of the right and the left edge in metres.
        :param s: start and end in metres; the whole line and 50 m more if not given.
        :param step: metres between two cuts.
        """
        start, end = s or (-50.0, self.length + 50.0)
        along = np.linspace(start, end, max(int((end - start) / step), 1) + 1)
        right, left = self.at(along, d[0], z[0]), self.at(along, d[1], z[1])
        p = np.stack([right, left], 1)
        return grid(p[..., 0], p[..., 1], p[..., 2])


def backdrop(
    mesh: MeshBuilder, rng: Rng, centre: Floats, radius: float, height: tuple[float, float]
) -> None:
    """
    Ring of far hills and woods, so that the ground does not end at nothing.

    :param mesh: where to put it.
    :param rng: source of its outline.
    :param centre: (3,) metres.
    :param radius: metres.
    :param height: lowest and highest crest in metres.
    """
    n = 180
    angle = np.linspace(0, 2 * np.pi, n)
    crest = np.zeros(n)
    for k, weight in ((2, 1.0), (5, 0.6), (11, 0.35), (37, 0.16), (71, 0.1)):
        crest += weight * np.sin(k * angle + rng.uniform(0, 6.3))
    crest = height[0] + (height[1] - height[0]) * np.clip(0.5 + 0.35 * crest, 0, 1)
    crest += rng.uniform(0, 0.06, n) * height[1]
    crest[-1] = crest[0]
    share = np.array([0.0, 0.35, 1.0])
    out = radius + np.outer(np.ones(n), share * radius * 0.35)
    z = centre[2] - 1.5 + np.outer(crest, [0.0, 0.55, 1.0])
    x, y = centre[0] + out * np.cos(angle)[:, None], centre[1] + out * np.sin(angle)[:, None]
    mesh.add(grid(x, y, z), 'hill', mesh.object(color=(0.9, 0.95, 0.9)))


def plain(mesh: MeshBuilder, centre: Floats, radius: float, z: float, material: str) -> None:
    """
    Wide flat ground below everything.

    :param mesh: where to put it.
    :param centre: (3,) metres.
    :param radius: half its edge in metres.
    :param z: height relative to the centre in metres.
    :param material: its surface.
    """
    axis = np.linspace(-radius, radius, 9)
    x, y = np.meshgrid(axis, axis, indexing='ij')
    mesh.add(
        grid(x + centre[0], y + centre[1], np.full_like(x, centre[2] + z)), material, mesh.object()
    )
