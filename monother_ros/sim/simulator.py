# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A drive through a simulated place, seen by a thermal camera, an RGB camera and a LiDAR.

Every random number of a frame is derived from (seed, stream, frame index), so `frame(t)` gives
the same bytes whatever was rendered before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import SimulationError
from monother_ros.sim.material_sets import CLIMATES, weather_of
from monother_ros.sim.raycast import CameraRays, Hits
from monother_ros.sim.response import RESPONSES
from monother_ros.sim.rig import MOUNTS, Rig, make_rig, rotation, transform
from monother_ros.sim.scenes import SCENES, build_scene
from monother_ros.sim.thermal_camera import ThermalCamera
from monother_ros.sim.weather import TIMES, WEATHERS, Weather, make_weather
from monother_ros.sim.world import World

SENSORS = ('thermal', 'rgb', 'lidar')
EPOCH_NS = 1_700_000_000_000_000_000
"""Stamp of t = 0: a fixed date, so that the same seed gives the same bytes."""

_LAYOUT, _RIG, _WEATHER, _PATTERN, _SENSOR, _THERMAL, _RGB, _LIDAR = range(8)


@dataclass(frozen=True)
class SimConfig:
    """
    What to simulate.

    :param scene: street, corridor, woods, yard or farm.
    :param seed: of everything random, >= 0.
    :param time_of_day: day, dusk or night.
    :param weather: clear, fog, smoke or rain.
    :param width: of the thermal image, pixels.
    :param height: of the thermal image, pixels.
    :param rate: frames per second.
    :param rgb_width: of the RGB image, pixels.
    :param rgb_height: of the RGB image, pixels.
    :param lidar_rings: LiDAR rings.
    :param lidar_columns: LiDAR measurements per ring.
    :param bits: of the thermal counts, 14 or 16.
    :param shutter: whether shutter events happen.
    :param movers: whether people and cars move.
    :param materials: temperate, desert, winter or industrial: temperatures and colours.
    :param response: linear, black_hot, equalised, compressed or worn: what the thermal camera
        makes of the radiance.
    :param mount: mast, low or high: where the cameras are.
    :raises SimulationError: a value outside of what is allowed.
    """

    scene: str = 'street'
    seed: int = 0
    time_of_day: str = 'day'
    weather: str = 'clear'
    width: int = 320
    height: int = 256
    rate: float = 10.0
    rgb_width: int = 480
    rgb_height: int = 360
    lidar_rings: int = 16
    lidar_columns: int = 720
    bits: int = 14
    shutter: bool = True
    movers: bool = True
    materials: str = 'temperate'
    response: str = 'linear'
    mount: str = 'mast'

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated."""
        for name, value, allowed in (
            ('scene', self.scene, SCENES),
            ('time of day', self.time_of_day, TIMES),
            ('weather', self.weather, WEATHERS),
            ('bits', self.bits, (14, 16)),
            ('set of materials', self.materials, CLIMATES),
            ('response', self.response, RESPONSES),
            ('mount', self.mount, MOUNTS),
        ):
            if value not in allowed:
                msg = f'{name} {value!r} is not known; use one of {list(allowed)}'
                raise SimulationError(msg)
        if self.seed < 0:
            msg = f'seed {self.seed} is negative; use a number from 0'
            raise SimulationError(msg)
        if not 0.0 < self.rate <= 240.0:
            msg = f'rate {self.rate} Hz is out of range; use more than 0 and at most 240'
            raise SimulationError(msg)
        sizes = (self.width, self.height, self.rgb_width, self.rgb_height)
        if min(sizes) < 16 or max(sizes) > 4096:
            msg = f'image sizes {sizes} are out of range; use 16 to 4096 pixels'
            raise SimulationError(msg)
        if self.lidar_rings < 1 or self.lidar_columns < 1:
            msg = 'a LiDAR needs at least one ring and one column'
            raise SimulationError(msg)


@dataclass
class SimFrame:
    """
    Everything measured at one instant, and the truth.

    :param stamp_ns: nanoseconds since the epoch of the stamps.
    :param time: seconds since the start of the drive.
    :param thermal: (H, W) uint16 counts, or None if not asked for.
    :param thermal_depth: (H, W) float32 metres along the optical axis, +inf for sky.
    :param rgb: (h, w, 3) uint8.
    :param rgb_depth: (h, w) float32 metres along the optical axis, +inf for sky.
    :param points: (N, 4) float32, x y z in metres and intensity, in `lidar_frame`.
    :param shutter: the thermal image is frozen by the shutter (it shows an earlier instant).
    :param pose: (4, 4) float64, world from `base_link`.
    """

    stamp_ns: int
    time: float
    thermal: NDArray[np.uint16] | None
    thermal_depth: NDArray[np.float32] | None
    rgb: NDArray[np.uint8] | None
    rgb_depth: NDArray[np.float32] | None
    points: NDArray[np.float32] | None
    shutter: bool
    pose: NDArray[np.float64]


class Simulator:
    """
    One drive.

    :param config: what to simulate.
    :raises SimulationError: Embree is not installed.
    """

    def __init__(self, config: SimConfig) -> None:
        self.config = config
        self.rig: Rig = make_rig(
            self._rng(_RIG),
            size=(config.width, config.height),
            rgb_size=(config.rgb_width, config.rgb_height),
            rings=config.lidar_rings,
            columns=config.lidar_columns,
            mount=config.mount,
        )
        parts = build_scene(config.scene, self._rng(_LAYOUT), movers=config.movers)
        drawn = make_weather(
            config.time_of_day, config.weather, self._rng(_WEATHER), indoor=parts.indoor
        )
        self.weather: Weather = weather_of(drawn, config.materials, indoor=parts.indoor)
        self.world = World(
            config.scene, parts, self.weather, self._rng(_PATTERN), config.materials
        )
        self.camera = ThermalCamera(
            self.rig.thermal,
            self.world,
            self._rng(_SENSOR),
            bits=config.bits,
            response=config.response,
        )
        self._thermal_rays = CameraRays(self.rig.thermal)
        self._rgb_rays: CameraRays | None = None
        self._frozen: tuple[int, NDArray[np.uint16]] | None = None
        self._pool: ThreadPoolExecutor | None = None

    @property
    def duration(self) -> float:
        """Seconds from one end of the path to the other; the drive goes on from there, back."""
        return self.world.trajectory.duration

    def _rng(self, stream: int, index: int = 0) -> np.random.Generator:
        scene = SCENES.index(self.config.scene)
        return np.random.default_rng([self.config.seed, scene, stream, index])

    def _index(self, t: float) -> int:
        return round(t * self.config.rate)

    def _thermal_at(
        self, t: float, pose: NDArray[np.float64]
    ) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
        view = pose @ self.rig.base_from_thermal
        hits = self.world.see(self._thermal_rays, view, t)
        image = self.camera.expose(hits, t, self._rng(_THERMAL, self._index(t)))
        return image, hits.depth

    def _thermal(
        self, t: float, pose: NDArray[np.float64]
    ) -> tuple[NDArray[np.uint16], NDArray[np.float32], bool]:
        closed = self.camera.shutter_since(t) if self.config.shutter else None
        # the last frame before the shutter closed; an event before the first frame has none
        last = -1 if closed is None else int(np.ceil(closed * self.config.rate - 1e-9)) - 1
        if last < 0:
            return *self._thermal_at(t, pose), False
        if self._frozen is None or self._frozen[0] != last:
            before = last / self.config.rate
            image, _ = self._thermal_at(before, self.world.trajectory.pose(before))
            self._frozen = (last, image)
        depth = self.world.see(self._thermal_rays, pose @ self.rig.base_from_thermal, t).depth
        return self._frozen[1].copy(), depth, True

    def _shade(self, hits: Hits, t: float) -> NDArray[np.uint8]:
        from monother_ros.sim.rgb_camera import render_rgb

        return render_rgb(hits, self.world, self.config, t, self._rng(_RGB, self._index(t)))

    def _lidar(self, t: float, pose: NDArray[np.float64]) -> NDArray[np.float32]:
        from monother_ros.sim.lidar import scan

        return scan(self.world, self.rig, pose, self.config, t, self._rng(_LIDAR, self._index(t)))

    def frame(self, t: float, sensors: Collection[str] = SENSORS) -> SimFrame:
        """
        What the rig measures at one instant.

        :param t: seconds since the start, >= 0.
        :param sensors: which of thermal, rgb and lidar to render.
        :raises SimulationError: negative time or an unknown sensor.
        """
        unknown = set(sensors) - set(SENSORS)
        if unknown or t < 0:
            msg = f'cannot render {sorted(unknown)} at {t} s; use {list(SENSORS)} and t >= 0'
            raise SimulationError(msg)
        pose = self.world.trajectory.pose(t)
        frame = SimFrame(EPOCH_NS + round(t * 1e9), t, None, None, None, None, None, False, pose)
        shading: Future[NDArray[np.uint8]] | None = None
        if 'rgb' in sensors:
            # the RGB image is half of all the work: its rays go first, on all threads; it is
            # then shaded beside the other sensors
            if self._pool is None or self._rgb_rays is None:
                self._pool = ThreadPoolExecutor(2, thread_name_prefix='simulator')
                self._rgb_rays = CameraRays(self.rig.rgb)
            hits = self.world.see(self._rgb_rays, pose @ self.rig.base_from_rgb, t, self._pool)
            frame.rgb_depth = hits.depth
            shading = self._pool.submit(self._shade, hits, t)
        if 'thermal' in sensors:
            frame.thermal, frame.thermal_depth, frame.shutter = self._thermal(t, pose)
        if 'lidar' in sensors:
            frame.points = self._lidar(t, pose)
        if shading is not None:
            frame.rgb = shading.result()
        return frame

    def frames(self, seconds: float, sensors: Collection[str] = SENSORS) -> Iterator[SimFrame]:
        """
        The drive, frame by frame, at the configured rate.

        :param seconds: length; the number of frames is seconds times rate, rounded.
        :param sensors: which of thermal, rgb and lidar to render.
        """
        for index in range(round(seconds * self.config.rate)):
            yield self.frame(index / self.config.rate, sensors)

    def _random_place(
        self, rng: np.random.Generator, rays: CameraRays, base_from_camera: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64], Hits]:
        """Instant, pose of the rig near the path, and what a camera sees there."""
        for _ in range(8):
            t = float(rng.uniform(0, self.duration))
            pose = self.world.trajectory.pose(t)
            side = float(rng.uniform(-1, 1)) * self.world.sway
            yaw = float(np.clip(rng.normal(0, 0.28), -0.7, 0.7))
            turn = rotation(yaw, float(rng.normal(0, 0.03)), float(rng.normal(0, 0.025)))
            pose = pose @ transform(turn, (0.0, side, float(rng.normal(0, 0.03))))
            hits = self.world.see(rays, pose @ base_from_camera, t)
            # not inside of something, nor with something right before the lens
            if float(np.mean(hits.depth < 0.5)) < 0.05:
                break
        return t, pose, hits

    def training_frame(self, rng: np.random.Generator) -> SimFrame:
        """
        Thermal image and depth from a random place near the path, never behind a shutter.

        :param rng: source of the pose, the instant and the noise.
        """
        t, pose, hits = self._random_place(rng, self._thermal_rays, self.rig.base_from_thermal)
        image = self.camera.expose(hits, t, rng)
        stamp = EPOCH_NS + round(t * 1e9)
        return SimFrame(stamp, t, image, hits.depth, None, None, None, False, pose)

    def training_rgb(self, rng: np.random.Generator, camera: Intrinsics) -> SimFrame:
        """
        RGB image and depth from a random place near the path.

        :param rng: source of the pose, the instant and the noise.
        :param camera: takes the place of the rig's RGB camera.
        """
        from monother_ros.sim.rgb_camera import render_rgb

        t, pose, hits = self._random_place(rng, CameraRays(camera), self.rig.base_from_rgb)
        image = render_rgb(hits, self.world, self.config, t, rng)
        stamp = EPOCH_NS + round(t * 1e9)
        return SimFrame(stamp, t, None, None, image, hits.depth, None, False, pose)

    def training_pair(self, rng: np.random.Generator, camera: Intrinsics) -> SimFrame:
        """
        Thermal and RGB image with their depths from a random place near the path.

        :param rng: source of the pose, the instant and the noise.
        :param camera: takes the place of the rig's RGB camera.
        """
        from monother_ros.sim.rgb_camera import render_rgb

        frame = self.training_frame(rng)
        view = frame.pose @ self.rig.base_from_rgb
        hits = self.world.see(CameraRays(camera), view, frame.time)
        frame.rgb = render_rgb(hits, self.world, self.config, frame.time, rng)
        frame.rgb_depth = hits.depth
        return frame
