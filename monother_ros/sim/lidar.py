# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Spinning LiDAR of the simulated rig.

A return is seen where its power, reflectance · cosine · exp(-2 k r) / r², is above what the
receiver needs (k: extinction, close to that of visible light at 905 nm). Drops of fog and rain
scatter some pulses back before they reach a surface. One turn is taken at one instant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from monother_ros.sim.material_sets import table_of

if TYPE_CHECKING:
    from monother_ros.sim.rig import Rig
    from monother_ros.sim.world import World

DROPOUT = 0.01
"""Part of the good returns that are missing anyway."""

INTENSITY_SCALE = 255.0
"""Intensity of a white surface that is hit squarely."""

WEAKEST = 0.05
"""Reflectance that the receiver just sees at its longest range in clear air."""

BACKSCATTER = {'clear': 0.0, 'fog': 2.2, 'smoke': 2.6, 'rain': 5.0}
"""Part of the pulses that come back from the air, per unit of extinction (1/m), at most half."""


def scan(
    world: World,
    rig: Rig,
    pose: NDArray[np.float64],
    config: object,
    t: float,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """
    One turn.

    :param world: place and weather.
    :param rig: LiDAR and where it sits.
    :param pose: (4, 4) world from base.
    :param config: of the simulation; not used, taken so that all sensors are called alike.
    :param t: seconds; moving objects stand where they are then.
    :param rng: source of noise, dropouts and backscatter.
    :returns: (N, 4) float32: x, y, z in metres in `lidar_frame`, intensity in [0, 255].
    """
    del config
    lidar, weather = rig.lidar, world.weather
    world_from_lidar = pose @ rig.base_from_lidar
    rays = lidar.directions()
    turn = world_from_lidar[:3, :3].astype(np.float32)
    # without BLAS, whose threads only spin on such sizes
    turned = np.ascontiguousarray(np.einsum('ij,kj->ik', rays, turn))
    hits = world.cast(world_from_lidar[:3, 3], turned, t)
    count = len(rays)

    extinction = np.float32(weather.extinction_visible)
    distance = np.where(np.isfinite(hits.distance), hits.distance, np.float32(1e6))
    cosine = np.abs(np.einsum('ij,ij->i', hits.normal, turned))
    seen = table_of('lidar', world.materials)[hits.material]
    seen *= np.float32(0.25) + np.float32(0.75) * cosine
    seen *= np.exp(-2 * extinction * distance)
    needed = np.float32(WEAKEST) * (distance / np.float32(lidar.range_max)) ** 2
    margin = np.exp(rng.normal(0, 0.35, count).astype(np.float32))
    good = (seen > needed * margin) & (distance < lidar.range_max)
    good &= (distance > lidar.range_min) & (rng.random(count) > DROPOUT)
    # the range of a weak or grazing return is less certain
    spread = np.float32(lidar.noise) * (1 + np.minimum(needed / np.maximum(seen, 1e-6), 2))
    measured = distance + rng.standard_normal(count, np.float32) * spread
    intensity = np.minimum(seen, 1) * np.float32(INTENSITY_SCALE)

    part = min(BACKSCATTER[weather.conditions] * weather.extinction_visible, 0.5)
    if part > 0 and not (world.indoor and weather.conditions == 'rain'):
        echo = lidar.range_min + rng.exponential(
            min(0.35 / max(weather.extinction_visible, 1e-6), 9.0), count
        ).astype(np.float32)
        scattered = (rng.random(count) < part) & (echo < distance) & (echo < lidar.range_max)
        measured = np.where(scattered, echo, measured)
        faint = rng.uniform(0.5, 9.0, count).astype(np.float32)
        intensity = np.where(scattered, faint, intensity)
        good |= scattered

    cloud = np.empty((int(good.sum()), 4), np.float32)
    cloud[:, :3] = rays[good] * measured[good, None]
    cloud[:, 3] = intensity[good]
    return cloud
