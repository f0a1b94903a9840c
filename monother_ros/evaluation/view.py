# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recorded drive, and what came of it, as a recording for the Rerun viewer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.bundle import find_bundle, load_bundle
from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import BagError, MonotherError
from monother_ros.core.files import atomic_path
from monother_ros.core.pipeline import Pipeline, ThermalFrame
from monother_ros.engines.base import EngineOptions
from monother_ros.engines.select import load_engine
from monother_ros.evaluation import view_scene
from monother_ros.evaluation.depth_images import fit, metres
from monother_ros.evaluation.moments import FORWARD_LEFT_UP, Transforms
from monother_ros.evaluation.recording import (
    INPUT_ROLES,
    OUTPUT_ROLES,
    Cursor,
    Recording,
    match_stamps,
    read_segments,
)
from monother_ros.evaluation.running import RunningMetrics
from monother_ros.evaluation.view_scene import Scene
from monother_ros.ros.bags import BagReader
from monother_ros.ros.cloud import cloud_xyz
from monother_ros.ros.messages import (
    intrinsics_from_camera_info,
    message_to_array,
    rgb_array,
    stamp_ns,
    thermal_array,
)
from monother_ros.ros.static_tf import transform_matrix

ODOMETRY = 'nav_msgs/msg/Odometry'

ROLES = {
    **INPUT_ROLES,
    **OUTPUT_ROLES,
    'rgb_info': ('/rgb/camera_info',),
    'odometry': (),
    'tf': ('/tf',),
    'mask': ('/mask',),
}
"""Role → topic names, the preferred one first; odometry is found by its type."""

VISIBLE = ('thermal', 'depth', 'rgb', 'truth', 'lidar', 'mask')
"""Roles of which one must be there; the first one begins the time line."""

SCORES = ('abs_rel', 'd1', 'scale', 'told')
"""Values of each frame against ground truth that are plotted."""


@dataclass(frozen=True)
class ViewSettings:
    """
    What goes into the recording.

    :param model: bundle whose depth is shown, computed now; empty: what was recorded.
    :param engine: that runs it.
    :param every: of so many thermal images (and of their depth) one is taken.
    :param points: most points of a cloud.
    :param topics: role → topic, where a bag names it unusually.
    """

    model: str = ''
    engine: str = 'auto'
    every: int = 1
    points: int = 20000
    topics: dict[str, str] = field(default_factory=dict)


@dataclass
class Viewed:
    """
    What was written.

    :param counts: messages per kind; :param notes: what was left out and why.
    """

    counts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


def write_view(
    out: str | Path,
    drive: str | Path,
    recorded: str | Path | None = None,
    settings: ViewSettings | None = None,
    progress: Callable[[int], None] | None = None,
) -> Viewed:
    """
    Write a recording for the viewer; it is there whole or not at all.

    :param out: the new .rrd file.
    :param drive: bag of what went in; with `recorded` None and no model, of what came out, too.
    :param recorded: bag of what the depth node published.
    :param settings: see there.
    :param progress: called with the number of messages so far.
    :raises BagError: a bag cannot be read, or holds nothing to see.
    :raises MonotherError: the model cannot be used.
    """
    chosen = settings or ViewSettings()
    with Recording(drive, ROLES, _topics(drive, chosen.topics)) as given:
        entries = next((given.entries[role] for role in VISIBLE if given.has(role)), [])
        if not entries:
            msg = (
                f'{drive} holds nothing that can be shown; its topics are '
                f'{", ".join(given.available) or "none"}; name them with --topic ROLE=/topic'
            )
            raise BagError(msg)
        with atomic_path(out) as work:
            scene = Scene(work, entries[0].stamp, chosen.points)
            view = _View(scene, given, chosen, progress)
            view.inputs()
            if chosen.model:
                view.computed()
            elif recorded is not None:
                topics = _topics(recorded, chosen.topics)
                with Recording(recorded, ROLES, topics) as results:
                    view.outputs(results)
            elif given.has('depth'):
                view.outputs(given)
            scene.whole_path()
            scene.close()
        return view.viewed


def _topics(bag: str | Path, given: dict[str, str]) -> dict[str, str]:
    """Topics by role, those of the odometry found by type."""
    with BagReader(bag) as reader:
        names = {topic.name for topic in reader.topics}
        found = {role: topic for role, topic in given.items() if topic in names}
        odometry = [t.name for t in reader.topics if t.type == ODOMETRY and t.count]
    if odometry:
        found.setdefault('odometry', odometry[0])
    return found


class _View:
    """One recording in the making."""

    def __init__(
        self,
        scene: Scene,
        given: Recording,
        settings: ViewSettings,
        progress: Callable[[int], None] | None,
    ) -> None:
        self.viewed = Viewed()
        self._scene = scene
        self._given = given
        self._settings = settings
        self._progress = progress
        self._done = 0
        self._transforms = Transforms(given)
        self._placed: set[str] = set()
        self._camera: Intrinsics | None = None
        self._metrics = RunningMetrics()
        thermal = given.entries.get('thermal') or given.entries.get('depth') or []
        self._shown = {e.stamp for e in thermal[:: settings.every]}

    def inputs(self) -> None:
        """Everything that went in."""
        steps: dict[str, Callable[[Any], None]] = {
            'thermal_info': self._thermal_info,
            'thermal': self._thermal,
            'rgb_info': self._rgb_info,
            'rgb': self._rgb,
            'lidar': self._lidar,
            'truth': self._truth,
            'odometry': self._odometry,
            'tf': self._tf,
            'mask': lambda m: self._scene.mask(np.array(message_to_array(m))),
        }
        if self._given.has('odometry'):
            steps.pop('tf')
        for segment in read_segments(self._given):
            if segment.start:
                self._scene.at(segment.start)
                self._scene.text(view_scene.CONDITION, segment.label)
        number: Counter[str] = Counter()
        for role, entry, raw in self._given.stream(steps):
            number[role] += 1
            # the first one tells frames and calibration, whichever is left out later
            if role in ('thermal', 'truth') and entry.stamp not in self._shown:
                continue
            if role in ('rgb', 'lidar', 'mask') and (number[role] - 1) % self._settings.every:
                continue
            self._count(role)
            with self._noted(role):
                message = self._given.decode(raw)
                self._scene.at(entry.stamp if role != 'odometry' else stamp_ns(message))
                steps[role](message)

    def outputs(self, results: Recording) -> None:
        """What the depth node has published."""
        given = [e.stamp for e in self._given.entries.get('thermal', [])]
        match = match_stamps([e.stamp for e in results.entries.get('depth', [])], given)
        if not match.pairs and given:
            self.viewed.notes.append('no depth image belongs to a thermal image: by its own stamp')
        if not match.certain:
            self.viewed.notes.append('stamps were renewed; the match of both bags is not certain')
        truth = Cursor(self._given, ['truth'])
        number = 0
        for entry, group in results.groups(['depth', 'depth_info', 'confidence']):
            stamp = match.pairs.get(entry.stamp, entry.stamp)
            if 'depth' not in group or entry.repeat or (given and stamp not in self._shown):
                continue
            self._count('depth')
            with self._noted('depth'):
                if 'depth_info' in group:
                    self._camera = intrinsics_from_camera_info(results.decode(group['depth_info']))
                depth = metres(message_to_array(results.decode(group['depth'])))
                sure = None
                if 'confidence' in group:
                    sure = message_to_array(results.decode(group['confidence']))
                self._frame(stamp, number, depth, sure, truth)
                number += 1
        self._messages(results)

    def computed(self) -> None:
        """What a model says now, through the pipeline of the node."""
        options = EngineOptions()
        engine = load_engine(
            load_bundle(find_bundle(self._settings.model)), self._settings.engine, options
        )
        try:
            pipeline = Pipeline(engine)
            truth = Cursor(self._given, ['truth'])
            number = 0
            for entry, message in self._given.messages('thermal'):
                # every image passes the pipeline, as the shutter and the scale follow from all
                self._count('depth')
                with self._noted('depth'):
                    image = thermal_array(message, self._height)
                    frame_id = str(message.header.frame_id)
                    frame = ThermalFrame(image, entry.stamp, frame_id, self._camera)
                    result = pipeline.process(frame)
                    if result.depth is None or entry.stamp not in self._shown:
                        continue
                    self._scene.at(entry.stamp, number)
                    total = 1000 * sum(result.timings.values())
                    self._scene.scalar('pipeline', total, view_scene.TIMING)
                    engine_ms = 1000 * result.timings['engine']
                    self._scene.scalar('engine', engine_ms, view_scene.TIMING)
                    self._scene.scalar('applied_scale', result.scale)
                    self._frame(entry.stamp, number, result.depth, result.confidence, truth)
                    number += 1
        finally:
            engine.close()

    # one kind of message each

    def _frame(
        self,
        stamp: int,
        number: int,
        depth: NDArray[np.float32],
        sure: NDArray[Any] | None,
        truth: Cursor,
    ) -> None:
        """Depth, confidence, cloud and figures of one frame."""
        scene = self._scene
        scene.at(stamp, number)
        scene.depth(depth)
        if sure is not None:
            scene.confidence(sure)
            scene.scalar('mean_confidence', float(np.nanmean(sure)))
        if self._camera is not None:
            scene.cloud(depth, sure, self._camera.scaled(depth.shape[1], depth.shape[0]))
        label = truth.get(stamp).get('truth')
        if label is None:
            return
        right = fit(metres(message_to_array(self._given.decode(label))), depth.shape)
        values = self._metrics.add(depth, right, sure, stamp=stamp)
        for name in SCORES if values else ():
            scene.scalar(name, (values or {})[name])

    def _messages(self, results: Recording) -> None:
        """Sentences of the diagnostics, each when it changes."""
        last: dict[str, tuple[int, str]] = {}
        for _, message in results.messages('diagnostics'):
            stamp = stamp_ns(message)
            for status in message.status:
                level = status.level if isinstance(status.level, int) else status.level[0]
                said = (int(level), str(status.message))
                if stamp and last.get(status.name) != said:
                    last[status.name] = said
                    self._scene.at(stamp)
                    text = f'{status.name}: {said[1]}'
                    self._scene.text(view_scene.DIAGNOSTICS, text, said[0])

    @property
    def _height(self) -> int | None:
        """Rows of the thermal picture by its calibration, which tells telemetry rows apart."""
        return None if self._camera is None else self._camera.height

    def _place(self, entity: str, message: Any, *, optical: bool = True) -> None:
        """Pose of a sensor from the static transforms, once."""
        if entity in self._placed:
            return
        self._placed.add(entity)
        frame = str(message.header.frame_id)
        pose = self._transforms.to_base(frame)
        if pose is not None:
            self._scene.pose(entity, pose)
        elif optical:
            self._scene.pose(entity, FORWARD_LEFT_UP)
        else:
            note = f'the pose of {frame!r} on the vehicle is not known: shown at its origin'
            self.viewed.notes.append(note)

    def _thermal_info(self, message: Any) -> None:
        if self._camera is None:
            self._camera = intrinsics_from_camera_info(message)
            self._scene.camera(view_scene.THERMAL, self._camera)

    def _thermal(self, message: Any) -> None:
        self._place(view_scene.THERMAL, message)
        self._scene.thermal(thermal_array(message, self._height))

    def _rgb_info(self, message: Any) -> None:
        if 'rgb_info' not in self._placed:
            self._placed.add('rgb_info')
            self._scene.camera(view_scene.RGB, intrinsics_from_camera_info(message))

    def _rgb(self, message: Any) -> None:
        self._place(view_scene.RGB, message)
        self._scene.rgb(rgb_array(message))

    def _lidar(self, message: Any) -> None:
        self._place(view_scene.LIDAR, message, optical=False)
        self._scene.lidar(cloud_xyz(message))

    def _truth(self, message: Any) -> None:
        self._scene.truth(metres(message_to_array(message)))

    def _odometry(self, message: Any) -> None:
        pose = message.pose.pose
        self._scene.vehicle(transform_matrix(_Pose(pose.position, pose.orientation)))

    def _tf(self, message: Any) -> None:
        """Motion of the vehicle: the transform whose child is the root of the sensors."""
        for item in message.transforms:
            child = str(item.child_frame_id).lstrip('/')
            if child in self._transforms.roots():
                self._scene.at(stamp_ns(item))
                self._scene.vehicle(transform_matrix(item.transform))

    # bookkeeping

    def _count(self, what: str) -> None:
        self.viewed.counts[what] += 1
        self._done += 1
        if self._progress is not None:
            self._progress(self._done)

    def _noted(self, what: str) -> _Noted:
        return _Noted(self.viewed, what)


class _Noted:
    """Turns what is wrong with one message into a note; the others go on."""

    def __init__(self, viewed: Viewed, what: str) -> None:
        self._viewed, self._what = viewed, what

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, kind: type[BaseException] | None, error: Any, _trace: Any) -> bool:
        """Note errors of ours and of values; let others pass."""
        if kind is None or not issubclass(kind, (MonotherError, ValueError)):
            return False
        self._viewed.counts[f'{self._what} not readable'] += 1
        note = f'{self._what}: {error}'
        if note not in self._viewed.notes:
            self._viewed.notes.append(note)
        return True


@dataclass(frozen=True)
class _Pose:
    """A pose as a geometry_msgs/Transform has it."""

    translation: Any
    rotation: Any
