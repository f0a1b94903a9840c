# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A simulated place: fixed mesh, moving objects, weather, and what rays see of them."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from monother_ros.sim.materials import SKY
from monother_ros.sim.raycast import CameraRays, Hits, RayHits, RayScene
from monother_ros.sim.rig import rotation, transform
from monother_ros.sim.trajectory import Trajectory
from monother_ros.sim.weather import Weather

TILE = 512
"""Edge of the noise tile, texels."""


@dataclass(frozen=True)
class Mover:
    """
    Something that moves along a line, again and again.

    :param scene: its mesh in its own frame (x forward).
    :param line: the way it takes; its start follows its end.
    :param start: metres along the way at t = 0.
    :param radius: of a ball around its origin that holds it, metres.
    """

    scene: RayScene
    line: Trajectory
    start: float
    radius: float

    def holds(self, point: NDArray[np.float64], margin: float = 0.35) -> bool:
        """
        Whether a point lies inside of the object's box or very close to it.

        :param point: (3,) in the object's frame, metres.
        :param margin: metres.
        """
        low, high = self.scene.vertices.min(0) - margin, self.scene.vertices.max(0) + margin
        return bool(((point > low) & (point < high)).all())

    def pose(self, t: float) -> NDArray[np.float64]:
        """
        World from object.

        :param t: seconds.
        :returns: (4, 4) float64.
        """
        distance = (self.start + t * self.line.speed) % self.line.length
        position, yaw, pitch = self.line.at(distance)
        return transform(rotation(yaw, pitch, 0.0), position)


@dataclass(frozen=True)
class Parts:
    """
    What a scene recipe hands over.

    :param scene: fixed mesh.
    :param deltas: (I,) temperature deviation of each object in units of its materials' spread.
    :param colors: (I, 3) factor on the visible reflectance of each object.
    :param path: (N, 3) way-points of the rig on the ground, metres.
    :param speed: of the rig, m/s.
    :param movers: moving objects.
    :param lights: (L, 7) lamps: x, y, z in metres, intensity (1 lights a wall 3 m away well),
        red, green, blue.
    :param indoor: under a roof: no sun and no sky.
    :param sway: how far a training pose may leave the path sideways, metres.
    """

    scene: RayScene
    deltas: NDArray[np.float32]
    colors: NDArray[np.float32]
    path: NDArray[np.float64]
    speed: float
    movers: tuple[Mover, ...]
    lights: NDArray[np.float32]
    indoor: bool
    sway: float


def _noise_tile(rng: np.random.Generator) -> NDArray[np.float32]:
    """(TILE, TILE) float32 pattern of several octaves that repeats, zero mean, unit deviation."""
    fx = np.fft.fftfreq(TILE)[:, None]
    fy = np.fft.rfftfreq(TILE)[None]
    frequency = np.hypot(fx, fy)
    frequency[0, 0] = 1.0
    spectrum = frequency**-1.35
    spectrum[frequency < 3.0 / TILE] = 0.0
    phase = np.exp(2j * np.pi * rng.random(spectrum.shape))
    tile = np.fft.irfft2(spectrum * phase, (TILE, TILE))
    return np.ascontiguousarray((tile - tile.mean()) / tile.std(), np.float32)


class World:
    """
    A place under one weather.

    :param name: name of the scene.
    :param parts: from the scene recipe.
    :param weather: air, sun, sky.
    :param rng: source of the surface pattern.
    :param materials: set of materials, see :mod:`monother_ros.sim.material_sets`.
    """

    def __init__(
        self,
        name: str,
        parts: Parts,
        weather: Weather,
        rng: np.random.Generator,
        materials: str = 'temperate',
    ) -> None:
        self.name = name
        self.materials = materials
        self.weather = weather
        self.indoor = parts.indoor
        self.scene = parts.scene
        self.movers = parts.movers
        self.deltas = parts.deltas
        self.colors = parts.colors
        self.lights = parts.lights
        self.sway = parts.sway
        self.trajectory = Trajectory(parts.path, parts.speed, rng)
        self._tile = _noise_tile(rng)

    def pattern(
        self,
        point: NDArray[np.float32],
        scale: NDArray[np.float32] | float,
        shift: NDArray[np.float32] | float = 0.0,
    ) -> NDArray[np.float32]:
        """
        Value of a pattern fixed to the surfaces.

        :param point: (H, W, 3) float32 world coordinates in metres.
        :param scale: length of the largest blotches in metres, one number or (H, W).
        :param shift: moves the pattern, in texels, one number or (H, W) (one value per object).
        :returns: (H, W) float32, zero mean and unit deviation over large areas.
        """
        # the axes fall 60° apart onto the tile, so that no wall direction sees stripes
        factor = np.float32(TILE / 8.0) / np.asarray(scale, np.float32)
        x, y, z = point[..., 0], point[..., 1], point[..., 2]
        u = (x + np.float32(0.5) * (y - z)) * factor + shift
        v = np.float32(0.866) * (y + z) * factor + shift
        # cv2.remap holds coordinates in 16 bits: bring them to the first tile
        u -= np.floor(u * np.float32(1 / TILE)) * np.float32(TILE)
        v -= np.floor(v * np.float32(1 / TILE)) * np.float32(TILE)
        return np.asarray(
            cv2.remap(self._tile, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.float32
        )

    def _cast(
        self, origin: NDArray[np.float64], directions: NDArray[np.float32], t: float
    ) -> RayHits:
        rays = len(directions)
        origins = np.empty((rays, 3), np.float32)
        origins[:] = origin
        distance, face = self.scene.cast(origins, directions)
        normal, material, instance = self.scene.attributes(face, directions)
        for mover in self.movers:
            pose = mover.pose(t)
            to_centre = (pose[:3, 3] + [0.0, 0.0, 0.8] - origin).astype(np.float32)
            far = float(np.linalg.norm(to_centre))
            if far > 150.0:
                continue
            seat = (origin - pose[:3, 3]) @ pose[:3, :3]
            if mover.holds(seat):
                continue  # it drives through the rig: nobody could see anything
            along = np.einsum('ij,j->i', directions, to_centre)
            missed = far * far - along * along
            near = np.flatnonzero((missed < mover.radius**2) & (along > -mover.radius))
            if len(near) == 0:
                continue
            turn = pose[:3, :3].astype(np.float32)
            local = np.ascontiguousarray(directions[near] @ turn)
            start = np.empty((len(near), 3), np.float32)
            start[:] = seat
            reach, hit = mover.scene.cast(start, local)
            closer = reach < distance[near]
            chosen, hit = near[closer], hit[closer]
            distance[chosen] = reach[closer]
            n, m, i = mover.scene.attributes(hit, local[closer])
            normal[chosen] = n @ turn.T
            material[chosen], instance[chosen] = m, i
        return RayHits(distance, normal, material, instance)

    def cast(
        self, origin: NDArray[np.float64], directions: NDArray[np.float32], t: float
    ) -> RayHits:
        """
        What rays from one point meet (for a LiDAR).

        :param origin: (3,) world coordinates in metres.
        :param directions: (N, 3) float32 unit vectors in the world.
        :param t: seconds; moving objects stand where they are then.
        """
        return self._cast(origin, np.ascontiguousarray(directions, np.float32), t)

    def see(
        self,
        camera: CameraRays,
        world_from_camera: NDArray[np.float64],
        t: float,
        pool: Executor | None = None,
    ) -> Hits:
        """
        What each pixel of a camera sees.

        :param camera: its rays.
        :param world_from_camera: (4, 4) pose of the optical frame.
        :param t: seconds; moving objects stand where they are then.
        :param pool: threads to share the work among; Embree runs without Python's lock.
        """
        directions = camera.directions(world_from_camera)
        origin = world_from_camera[:3, 3]
        if pool is None:
            found = self._cast(origin, directions, t)
        else:
            bands = np.array_split(directions, 4)
            jobs = [pool.submit(self._cast, origin, band, t) for band in bands]
            found = RayHits.joined([job.result() for job in jobs])
        shape = camera.shape
        distance = found.distance.reshape(shape)
        reach = np.where(found.material == SKY, np.float32(0), found.distance)
        point = directions * reach[:, None] + origin.astype(np.float32)
        return Hits(
            depth=distance * camera.cosine,
            distance=distance,
            point=point.reshape(*shape, 3),
            normal=found.normal.reshape(*shape, 3),
            material=found.material.reshape(shape),
            instance=found.instance.reshape(shape),
            direction=directions.reshape(*shape, 3),
        )

    def sunlit(self, hits: Hits, step: int = 2) -> NDArray[np.float32]:
        """
        How much of the direct sun reaches each pixel's surface (cosine not included).

        :param hits: of one camera; the result is kept in `hits.sunlit`.
        :param step: shadow rays for every step-th pixel in both directions; 1 is sharp.
        :returns: (H, W) float32 in [0, 1]; 0 at night, indoors and for sky.
        """
        if hits.sunlit is not None:
            return hits.sunlit
        if self.weather.sunlight <= 0.0:
            hits.sunlit = np.zeros(hits.depth.shape, np.float32)
            return hits.sunlit
        sun = np.asarray(self.weather.sun, np.float32)
        point, normal = hits.point[::step, ::step], hits.normal[::step, ::step]
        shape = point.shape[:2]
        facing = (np.einsum('ijk,k->ij', normal, sun) > 0).reshape(-1)
        asked = np.flatnonzero(facing)
        lift = (hits.distance[::step, ::step].reshape(-1)[asked, None] * 2e-3 + 5e-3).astype(
            np.float32
        )
        origins = point.reshape(-1, 3)[asked] + normal.reshape(-1, 3)[asked] * lift
        rays = np.empty_like(origins)
        rays[:] = sun
        lit = np.zeros(len(facing), np.float32)
        lit[asked] = ~self.scene.occluded(np.ascontiguousarray(origins), rays)
        sparse = lit.reshape(shape)
        if step == 1:
            hits.sunlit = sparse
        else:
            height, width = hits.depth.shape
            hits.sunlit = np.asarray(
                cv2.resize(sparse, (width, height), interpolation=cv2.INTER_LINEAR), np.float32
            )
        return hits.sunlit
