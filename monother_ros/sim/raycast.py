# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Ray casting against triangle meshes with Embree.

The bindings are called directly: one query returns distance and triangle of every ray, and the
directions of a camera's pixels are computed once per calibration and only turned per frame.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import SimulationError
from monother_ros.sim.materials import SKY

try:
    from embreex.mesh_construction import TriangleMesh
    from embreex.rtcore_scene import EmbreeScene
except ImportError:  # the run-time install of a robot carries no simulator
    EmbreeScene = TriangleMesh = None


@dataclass
class Hits:
    """
    What every pixel of one camera sees.

    :param depth: (H, W) float32, distance along the optical axis in metres, +inf for sky.
    :param distance: (H, W) float32, distance from the camera in metres, +inf for sky.
    :param point: (H, W, 3) float32, world coordinates in metres; meaningless for sky.
    :param normal: (H, W, 3) float32, unit surface normal towards the camera; zero for sky.
    :param material: (H, W) uint8, index into `MATERIALS`, `SKY` for sky.
    :param instance: (H, W) uint16, index of the object in the world's tables; 0 for sky.
    :param direction: (H, W, 3) float32, unit vector of the pixel's ray in the world.
    :param sunlit: (H, W) float32 in [0, 1], filled by `World.sunlit` on demand.
    """

    depth: NDArray[np.float32]
    distance: NDArray[np.float32]
    point: NDArray[np.float32]
    normal: NDArray[np.float32]
    material: NDArray[np.uint8]
    instance: NDArray[np.uint16]
    direction: NDArray[np.float32]
    sunlit: NDArray[np.float32] | None = field(default=None)

    @property
    def sky(self) -> NDArray[np.bool_]:
        """(H, W) bool, True where the ray hit nothing."""
        return np.asarray(self.material == SKY)


@dataclass
class RayHits:
    """
    What a list of N rays meets.

    :param distance: (N,) float32 metres, +inf where nothing is hit.
    :param normal: (N, 3) float32, unit normal towards the ray's origin; zero where nothing is hit.
    :param material: (N,) uint8, `SKY` where nothing is hit.
    :param instance: (N,) uint16, 0 where nothing is hit.
    """

    distance: NDArray[np.float32]
    normal: NDArray[np.float32]
    material: NDArray[np.uint8]
    instance: NDArray[np.uint16]

    @staticmethod
    def joined(parts: list[RayHits]) -> RayHits:
        """
        One list of rays from several.

        :param parts: in their order.
        """
        return RayHits(
            np.concatenate([p.distance for p in parts]),
            np.concatenate([p.normal for p in parts]),
            np.concatenate([p.material for p in parts]),
            np.concatenate([p.instance for p in parts]),
        )


class RayScene:
    """
    A mesh that rays can be cast against.

    :param vertices: (V, 3) metres.
    :param faces: (F, 3) vertex indices.
    :param material: (F,) index into `MATERIALS` of each face.
    :param instance: (F,) object of each face.
    :raises SimulationError: the mesh is empty or Embree is not installed.
    """

    def __init__(
        self,
        vertices: NDArray[np.floating],
        faces: NDArray[np.integer],
        material: NDArray[np.integer],
        instance: NDArray[np.integer],
    ) -> None:
        if EmbreeScene is None:
            msg = 'the simulator needs Embree; install it with: pip install "monother_ros[sim]"'
            raise SimulationError(msg)
        if len(faces) == 0:
            msg = 'a mesh without triangles cannot be ray-cast; add objects to the scene'
            raise SimulationError(msg)
        self.vertices = np.ascontiguousarray(vertices, np.float32)
        self.faces = np.ascontiguousarray(faces, np.int32)
        corners = self.vertices[self.faces]
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        length = np.linalg.norm(normal, axis=1, keepdims=True)
        # one row more at the end: index -1 (no hit) then reads the sky
        self._normal = np.zeros((len(faces) + 1, 3), np.float32)
        self._normal[:-1] = normal / np.maximum(length, 1e-12)
        self._material = np.full(len(faces) + 1, SKY, np.uint8)
        self._material[:-1] = material
        self._instance = np.zeros(len(faces) + 1, np.uint16)
        self._instance[:-1] = instance
        self._scene = EmbreeScene()
        self._mesh = TriangleMesh(self._scene, self.vertices, self.faces)
        # the first query builds the tree; let it be now, so that threads may query at once
        self._scene.run(np.zeros((1, 3), np.float32), np.ones((1, 3), np.float32))

    def cast(
        self, origins: NDArray[np.float32], directions: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """
        First triangle along each ray.

        :param origins: (N, 3) float32, metres.
        :param directions: (N, 3) float32, unit vectors.
        :returns: distances (N,) float32 in metres (+inf: none) and faces (N,) int32 (-1: none).
        """
        found = self._scene.run(origins, directions, output=1)
        face: NDArray[np.int32] = found['primID']
        distance: NDArray[np.float32] = found['tfar']
        distance[face < 0] = np.inf
        return distance, face

    def occluded(
        self, origins: NDArray[np.float32], directions: NDArray[np.float32]
    ) -> NDArray[np.bool_]:
        """
        Whether anything stands in the way of each ray.

        :param origins: (N, 3) float32, metres.
        :param directions: (N, 3) float32, unit vectors.
        :returns: (N,) bool.
        """
        return np.asarray(self._scene.run(origins, directions, query='OCCLUDED') >= 0)

    def attributes(
        self, face: NDArray[np.int32], directions: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.uint16]]:
        """
        Normal (towards the viewer), material and object of hit faces.

        :param face: (N,) int32 from `cast`.
        :param directions: (N, 3) float32, the rays that were cast.
        :returns: normals (N, 3) float32, materials (N,) uint8, objects (N,) uint16.
        """
        # index -1 (no hit) is the last row
        normal = np.take(self._normal, face, 0, mode='wrap')
        towards = np.einsum('ij,ij->i', normal, directions)
        normal *= np.copysign(np.float32(1), -towards)[:, None]
        return normal, self._material[face], self._instance[face]


class CameraRays:
    """
    Directions of the pixels of one camera, computed once.

    :param intrinsics: the camera, with its lens distortion.
    :raises SimulationError: the distortion cannot be undone for some pixels.
    """

    def __init__(self, intrinsics: Intrinsics) -> None:
        slopes = intrinsics.rays()
        if not np.isfinite(slopes).all():
            msg = 'the lens distortion cannot be undone up to the corners; use weaker distortion'
            raise SimulationError(msg)
        rays = np.concatenate([slopes, np.ones_like(slopes[..., :1])], -1)
        length = np.linalg.norm(rays, axis=-1, keepdims=True)
        self.intrinsics = intrinsics
        self.shape = (intrinsics.height, intrinsics.width)
        self.unit = np.ascontiguousarray((rays / length).reshape(-1, 3), np.float32)
        self._grid = self.unit.reshape(*self.shape, 3)
        self.cosine = np.ascontiguousarray(1.0 / length[..., 0], np.float32)

    def directions(self, world_from_camera: NDArray[np.float64]) -> NDArray[np.float32]:
        """
        Unit directions in the world.

        :param world_from_camera: (4, 4) pose of the optical frame.
        :returns: (H * W, 3) float32.
        """
        # not a matrix product: BLAS would wake all its threads for a 3x3 matrix
        turned = cv2.transform(self._grid, world_from_camera[:3, :3].astype(np.float32))
        return np.asarray(turned, np.float32).reshape(-1, 3)
