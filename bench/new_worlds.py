# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Student and teacher, without any adaptation, in the worlds that are new to the student, as JSON.

python bench/new_worlds.py --out new_worlds.json

AbsRel over true depths of 0.5 to 80 m, mean of the values of each frame; the student through the
run-time pipeline on raw thermal frames, the teacher on rectified RGB pictures.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from monother_ros.core.bundle import find_bundle, load_bundle
from monother_ros.core.files import atomic_write
from monother_ros.core.pipeline import Pipeline, ThermalFrame
from monother_ros.engines.base import EngineOptions
from monother_ros.engines.select import load_engine
from monother_ros.evaluation.accuracy import FAR, NEAR, OPEN_LIMITS
from monother_ros.evaluation.metrics import depth_metrics
from monother_ros.learning.rectify import Rectifier
from monother_ros.learning.teachers.bundle import BundleTeacher
from monother_ros.learning.teachers.results import TeacherOptions
from monother_ros.sim.new_worlds import NEW_WORLDS, NewWorld
from monother_ros.sim.simulator import Simulator


def errors(
    world: NewWorld, time: str, frames: int, pipeline: Pipeline, teacher: BundleTeacher
) -> dict[str, float]:
    """
    AbsRel of both.

    :param world: the place.
    :param time: day or night.
    :param frames: evenly spread over the path.
    :param pipeline: of the student.
    :param teacher: of RGB.
    :returns: 'student' and 'teacher'.
    """
    simulator = Simulator(world.config(time, shutter=False))
    size = pipeline.engine.bundle.input_size
    rectifier = Rectifier(simulator.rig.rgb, size)
    focal = torch.tensor([rectifier.camera.fx])
    found: dict[str, list[float]] = {'student': [], 'teacher': []}
    for k in range(frames):
        frame = simulator.frame((k + 0.5) / frames * simulator.duration, {'thermal', 'rgb'})
        assert frame.thermal is not None and frame.thermal_depth is not None
        assert frame.rgb is not None and frame.rgb_depth is not None
        pipeline.reset()
        result = pipeline.process(ThermalFrame(frame.thermal, k, '', simulator.rig.thermal))
        assert result.depth is not None
        truths = {'student': frame.thermal_depth, 'teacher': rectifier.depth(frame.rgb_depth)}
        picture = torch.from_numpy(rectifier.image(frame.rgb).transpose(2, 0, 1).copy())[None]
        taught = teacher.predict(picture, focal).depth[0, 0].numpy()
        for name, depth in (('student', result.depth), ('teacher', taught)):
            found[name].append(depth_metrics(depth, truths[name], near=NEAR, far=FAR)['abs_rel'])
    return {name: round(float(np.nanmean(values)), 4) for name, values in found.items()}


def main() -> None:
    """Measure all worlds by day and at night."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--model', default='lite', help='bundle of the student')
    parser.add_argument('--teacher', default='lite-rgb', help='bundle of the teacher')
    parser.add_argument('--frames', type=int, default=12, help='of each world and time')
    parser.add_argument('--out', type=Path, help='JSON file; printed as well')
    arguments = parser.parse_args()
    engine = load_engine(
        load_bundle(find_bundle(arguments.model)), options=EngineOptions(device='cpu')
    )
    pipeline = Pipeline(engine, OPEN_LIMITS)
    bundle = load_bundle(find_bundle(arguments.teacher))
    teacher = BundleTeacher(bundle, TeacherOptions(device='cpu'))
    worlds = {
        world.name: {
            time: errors(world, time, arguments.frames, pipeline, teacher)
            for time in ('day', 'night')
        }
        for world in NEW_WORLDS
    }
    mean = {
        time: {
            name: round(float(np.mean([w[time][name] for w in worlds.values()])), 4)
            for name in ('student', 'teacher')
        }
        for time in ('day', 'night')
    }
    report = {
        'student': engine.bundle.revision,
        'teacher': bundle.revision,
        'frames': arguments.frames,
        'worlds': worlds,
        'mean': mean,
    }
    text = json.dumps(report, indent=2) + '\n'
    print(text, end='')
    if arguments.out:
        atomic_write(arguments.out, text)


if __name__ == '__main__':
    main()
