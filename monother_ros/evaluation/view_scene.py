# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recording for the Rerun viewer: which entity holds what, and how it is shown at first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rerun as rr
import rerun.blueprint as rrb
from numpy.typing import NDArray

from monother_ros.core.camera import Intrinsics
from monother_ros.evaluation.moments import FORWARD_LEFT_UP, unprojected

APPLICATION = 'monother_ros'

STAMP, ELAPSED, FRAME = 'stamp', 'time', 'frame'
"""Timelines: header stamps, seconds since the first thermal image, number of the depth image."""

ROOT = 'world'
VEHICLE = f'{ROOT}/vehicle'
THERMAL = f'{VEHICLE}/thermal'
IMAGES = f'{THERMAL}/camera'
RGB = f'{VEHICLE}/rgb'
LIDAR = f'{VEHICLE}/lidar'
CLOUD = f'{THERMAL}/cloud'
TRAJECTORY = f'{ROOT}/trajectory'
PLOTS, TIMING = 'plots', 'timing'
CONDITION, DIAGNOSTICS = 'condition', 'diagnostics'

DEPTH_UNIT = 256.0
"""Steps per metre of stored depth: 4 mm, up to 255 m; 0 is not known."""

FAR = 80.0
"""Metres at which the colours of depth end."""

DOT = rr.Radius.ui_points(1.4)
"""Size of a point on the screen."""

JPEG = 85
"""Quality of colour images."""


class Scene:
    """
    Writes what it is told of into a file, in any order of time.

    :param path: of the new .rrd file.
    :param origin: stamp in ns at which the timeline `time` begins.
    :param points: most points of a cloud; more are thinned evenly.
    """

    def __init__(self, path: Path, origin: int, points: int) -> None:
        self._origin = origin
        self._points = points
        self._rays: tuple[Intrinsics, NDArray[np.float32]] | None = None
        self._path: list[NDArray[np.float64]] = []
        self._seen: set[str] = set()
        self._stream = rr.RecordingStream(APPLICATION)
        self._stream.save(str(path))
        for entity in (ROOT, VEHICLE):
            self._log(entity, rr.ViewCoordinates.FLU, static=True)
        self.pose(THERMAL, FORWARD_LEFT_UP)

    def close(self) -> None:
        """Add the layout of what was logged and complete the file."""
        self._stream.send_blueprint(layout(self._seen))
        self._stream.flush()
        self._stream.disconnect()

    def at(self, stamp: int, frame: int | None = None) -> None:
        """
        Set the time of what is logged next.

        :param stamp: ns.
        :param frame: number of the depth image that it belongs to, or None.
        """
        self._stream.reset_time()
        self._stream.set_time(STAMP, timestamp=np.datetime64(stamp, 'ns'))
        elapsed = np.timedelta64(stamp - self._origin, 'ns')
        self._stream.set_time(ELAPSED, duration=elapsed)
        if frame is not None:
            self._stream.set_time(FRAME, sequence=frame)

    def _log(self, entity: str, what: Any, *, static: bool = False) -> None:
        self._seen.add(entity)
        self._stream.log(entity, what, static=static)

    # where things are

    def pose(self, entity: str, matrix: NDArray[np.floating]) -> None:
        """
        Pose of a sensor that does not move on the vehicle.

        :param entity: THERMAL, RGB or LIDAR. :param matrix: (4, 4), sensor to vehicle.
        """
        self._log(entity, _transform(matrix), static=True)

    def camera(self, entity: str, intrinsics: Intrinsics) -> None:
        """Calibration of a camera, without its lens distortion."""
        self._log(
            f'{entity}/camera',
            rr.Pinhole(
                image_from_camera=intrinsics.matrix,
                resolution=[intrinsics.width, intrinsics.height],
                camera_xyz=rr.ViewCoordinates.RDF,
                image_plane_distance=1.5,
            ),
            static=True,
        )

    def vehicle(self, matrix: NDArray[np.floating]) -> None:
        """Pose of the vehicle in the world, now; :param matrix: (4, 4), vehicle to world."""
        self._log(VEHICLE, _transform(matrix))
        self._path.append(np.array(matrix[:3, 3], np.float64))
        if len(self._path) > 1:
            strip = np.array(self._path[-2:], np.float32)
            self._log(TRAJECTORY, rr.LineStrips3D([strip], colors=[[255, 200, 60]], radii=[0.04]))

    def whole_path(self) -> None:
        """The way of the vehicle from its beginning to its end, as one line that always shows."""
        if len(self._path) > 1:
            strip = np.array(self._path, np.float32)
            line = rr.LineStrips3D([strip], colors=[[120, 120, 130]], radii=[0.02])
            self._log(f'{TRAJECTORY}/whole', line, static=True)

    # what the sensors saw

    def thermal(self, image: NDArray[Any]) -> None:
        """Thermal image, (H, W) counts, stretched between the 1st and 99th percentile."""
        low, high = np.percentile(image, [1, 99])
        grey = np.clip((image - low) * (255.0 / max(high - low, 1.0)), 0, 255).astype(np.uint8)
        self._log(f'{IMAGES}/thermal', rr.Image(grey))

    def rgb(self, image: NDArray[np.uint8]) -> None:
        """Colour image, (h, w, 3) RGB."""
        self._log(f'{RGB}/camera/image', rr.Image(image).compress(jpeg_quality=JPEG))

    def lidar(self, points: NDArray[Any]) -> None:
        """Points of the LiDAR in its own frame, (N, 3) m."""
        chosen = self._thinned(points[np.isfinite(points).all(1)])
        self._log(LIDAR, rr.Points3D(chosen, colors=[[200, 200, 215]], radii=DOT))

    def truth(self, depth: NDArray[np.floating]) -> None:
        """True depth, (H, W) m."""
        self._log(f'{IMAGES}/truth', _depth_image(depth))

    def depth(self, depth: NDArray[np.floating]) -> None:
        """Depth, (H, W) m, NaN where not known."""
        self._log(f'{IMAGES}/depth', _depth_image(depth))

    def confidence(self, confidence: NDArray[np.floating]) -> None:
        """Confidence, (H, W) in 0..1; brighter is surer."""
        grey = np.rint(np.nan_to_num(confidence).clip(0, 1) * 255).astype(np.uint8)
        self._log(f'{IMAGES}/confidence', rr.Image(_coloured(grey)).compress(jpeg_quality=JPEG))

    def mask(self, mask: NDArray[np.uint8]) -> None:
        """Where the teacher is believed, (H, W), 0 or 255."""
        self._log(f'{IMAGES}/teacher_mask', rr.Image(mask))

    def cloud(
        self,
        depth: NDArray[np.floating],
        confidence: NDArray[np.floating] | None,
        intrinsics: Intrinsics,
    ) -> None:
        """
        Points of a depth image, coloured by confidence: violet is unsure, yellow is sure.

        :param depth: (H, W) m. :param confidence: (H, W) in 0..1; None colours by depth.
        :param intrinsics: of the depth image.
        """
        if self._rays is None or self._rays[0] != intrinsics:
            self._rays = (intrinsics, intrinsics.rays())
        points, known = unprojected(depth, self._rays[1])
        level = 1 - depth / FAR if confidence is None else confidence
        values = np.nan_to_num(level[known]).clip(0, 1)
        colours = _coloured(np.rint(values * 255).astype(np.uint8)[:, None])[:, 0]
        step = max(1, -(-len(points) // self._points))
        self._log(CLOUD, rr.Points3D(points[::step], colors=colours[::step], radii=DOT))

    # figures and words

    def scalar(self, name: str, value: float, plot: str = PLOTS) -> None:
        """
        Value for a plot; one that is not finite is left out.

        :param plot: PLOTS for figures about 1, TIMING for milliseconds.
        """
        if np.isfinite(value):
            self._log(f'{plot}/{name}', rr.Scalars(float(value)))

    def text(self, entity: str, text: str, level: int = 0) -> None:
        """
        Line of a log.

        :param entity: CONDITION or DIAGNOSTICS. :param level: of diagnostics: 0, 1, 2.
        """
        levels = [rr.TextLogLevel.INFO, rr.TextLogLevel.WARN, rr.TextLogLevel.ERROR]
        self._log(entity, rr.TextLog(text, level=levels[min(level, 2)]))

    def _thinned(self, points: NDArray[Any]) -> NDArray[Any]:
        """At most as many points as are wanted, evenly."""
        return points[:: max(1, -(-len(points) // self._points))]


def layout(entities: set[str]) -> rrb.Blueprint:
    """
    First layout of the viewer: cloud on the left, images and plots beside it.

    :param entities: what was logged; views of nothing are left out.
    """
    pictures: list[Any] = [
        rrb.Spatial2DView(origin=IMAGES, contents=[f'{IMAGES}/{name}'], name=title)
        for name, title in (
            ('thermal', 'Thermal'),
            ('depth', 'Depth'),
            ('confidence', 'Confidence'),
            ('truth', 'Ground truth'),
            ('teacher_mask', 'Teacher mask'),
        )
        if f'{IMAGES}/{name}' in entities
    ]
    if f'{RGB}/camera/image' in entities:
        pictures.append(rrb.Spatial2DView(origin=f'{RGB}/camera', name='RGB'))
    # depth images under a camera would be shown as clouds of their own
    hidden = [f'- {IMAGES}/{name}' for name in ('depth', 'truth', 'confidence', 'teacher_mask')]
    if f'{RGB}/camera' not in entities:  # a picture without calibration has no place in space
        hidden.append(f'- {RGB}/camera/image')
    scene = rrb.Spatial3DView(
        origin=VEHICLE,
        contents=[f'+ /{ROOT}/**', *hidden],
        name='Cloud by confidence',
        background=[24, 26, 32],
        # behind and above the vehicle, and with it where it moves
        eye_controls=rrb.EyeControls3D(position=[-10.0, 0.0, 7.0], look_target=[9.0, 0.0, 0.5]),
    )
    lower: list[Any] = [
        rrb.TimeSeriesView(origin=plot, name=title)
        for plot, title in ((PLOTS, 'Figures'), (TIMING, 'Milliseconds'))
        if any(entity.startswith(f'{plot}/') for entity in entities)
    ]
    if entities & {CONDITION, DIAGNOSTICS}:
        words = [f'/{CONDITION}', f'/{DIAGNOSTICS}']
        lower.append(rrb.TextLogView(origin='/', contents=words, name='Messages'))
    left = rrb.Vertical(scene, rrb.Tabs(*lower), row_shares=[3, 1]) if lower else scene
    parts = [left, rrb.Grid(*pictures)] if pictures else [left]
    panel = rrb.TimePanel(timeline=ELAPSED)
    return rrb.Blueprint(rrb.Horizontal(*parts), panel, collapse_panels=True)


def _transform(matrix: NDArray[np.floating]) -> Any:
    return rr.Transform3D(translation=matrix[:3, 3], mat3x3=matrix[:3, :3])


def _depth_image(depth: NDArray[np.floating]) -> Any:
    known = np.isfinite(depth) & (depth > 0)
    steps = np.where(known, depth * DEPTH_UNIT, 0).clip(0, 65535)
    return rr.DepthImage(
        np.rint(steps).astype(np.uint16),
        meter=DEPTH_UNIT,
        colormap='turbo',
        depth_range=[0.0, FAR * DEPTH_UNIT],
    )


def _coloured(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Viridis colours, RGB, of (h, w) values."""
    bgr = cv2.applyColorMap(grey, cv2.COLORMAP_VIRIDIS)
    return np.asarray(bgr[..., ::-1], np.uint8)
