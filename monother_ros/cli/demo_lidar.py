# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``monother demo --lidar``: a model whose scale is wrong, without a LiDAR and with one."""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monother_ros.cli.nodes import Drive, lidar_pose, play_through, rgb_pose
from monother_ros.core.bundle import MANIFEST, find_bundle, load_bundle
from monother_ros.core.errors import BagError, SettingsError
from monother_ros.core.files import atomic_write
from monother_ros.evaluation.metrics import valid_mask
from monother_ros.ros.bags import BagReader
from monother_ros.ros.messages import message_to_array, stamp_ns

POINTS = '/lidar/points'
TRUTH = '/ground_truth/thermal/depth'
CONDITIONS = '/ground_truth/conditions'
DEPTH = '/depth/image_raw'

OUTPUTS = ('/scale', '/scale/source')
"""Outputs that are recorded beside those of the plain demo."""

INPUTS = ('/thermal/image_raw', '/thermal/camera_info', '/rgb/image_raw', '/rgb/camera_info')
"""What is played without a LiDAR."""

NEAR, FAR = 0.5, 80.0
"""Metres of true depth that count."""

SETTLING = 5.0
"""Seconds of the drive that do not count: nodes find each other, the scale slides."""

FIGURES = 'lidar.json'
"""File with the figures of the comparison, which the report shows."""

MARKER = 'made-by-monother-demo'
"""File in the folder of the spoiled model: only such a folder is replaced."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the LiDAR."""
    group = parser.add_argument_group('metric scale', 'with --lidar')
    add = group.add_argument
    add('--lidar', action='store_true', help='metric scale from the LiDAR, compared with none')
    add(
        '--wrong-scale',
        type=float,
        metavar='FACTOR',
        help='make the model wrong by this factor first (default 1.3; 1 for a bag of your own)',
    )


def spoiled(model: str, factor: float, folder: Path) -> Path:
    """
    Copy of a model whose metric scale is wrong: it states another focal length.

    :param model: name or folder of the bundle.
    :param factor: by which its depth becomes too large, > 0.
    :param folder: for the copy.
    :returns: the copy, or the model itself where the factor is 1.
    :raises SettingsError: the factor cannot be, the model states no focal length, or the folder
        was not made by the demo.
    """
    bundle = load_bundle(find_bundle(model))
    if factor == 1.0:
        return bundle.path
    if not 0.05 < factor < 20:
        msg = f'--wrong-scale {factor:g} is out of range; use a factor of 0.05 to 20'
        raise SettingsError(msg)
    if bundle.focal_length is None:
        msg = f'{bundle.name} states no focal length to make wrong; use --wrong-scale 1'
        raise SettingsError(msg)
    if folder.exists():
        if not (folder / MARKER).exists():
            msg = f'{folder} was not made by this demo; move it away or give another --output'
            raise SettingsError(msg)
        shutil.rmtree(folder)
    shutil.copytree(bundle.path, folder)
    (folder / MARKER).touch()
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest['focal_length'] = bundle.focal_length / factor
    atomic_write(folder / MANIFEST, json.dumps(manifest, indent=2) + '\n')
    return load_bundle(folder).path


def run_lidar(
    arguments: argparse.Namespace,
    drive: Drive,
    out: Path,
    outputs: Sequence[str],
    *,
    simulated: bool,
) -> Path:
    """
    Play a drive through the depth node, without the LiDAR and with it, and compare with the truth.

    :param arguments: of ``monother demo``.
    :param drive: bag with a LiDAR and topic names.
    :param out: folder for all that is made.
    :param outputs: topics to record.
    :param simulated: whether the bag has the truth, so that both runs are worth it.
    :returns: what was recorded with the LiDAR.
    :raises MonotherError: a step failed; its message says which and why.
    """
    pose = lidar_pose(drive)
    if pose is None:
        msg = (
            f'{drive.bag} has no {drive.recorded(POINTS)} whose pose in the thermal camera is on '
            '/tf_static'
        )
        raise BagError(msg)
    factor = arguments.wrong_scale or (1.3 if simulated else 1.0)
    model = spoiled(arguments.model, factor, out / 'model')
    if factor != 1.0:
        print(f'the model is made to see {100 * (factor - 1):+.0f} % too far', flush=True)
    runs = {'with LiDAR': [drive.recorded(t) for t in (*INPUTS, POINTS)]}
    if simulated:
        runs = {'without LiDAR': [drive.recorded(t) for t in INPUTS], **runs}
    found: dict[str, Path] = {}
    for name, topics in runs.items():
        node = ['monother_ros.nodes.depth_node', '--ros-args', '-p', f'model:={model}']
        node += ['-p', 'use_sim_time:=true', '-p', f'lidar_extrinsics:={pose}']
        rgb = rgb_pose(drive)
        if rgb is not None:
            node += ['-p', f'rgb_extrinsics:={rgb}']
        began = time.monotonic()
        print(f'playing {drive.bag.name} {name}', flush=True)
        found[name] = play_through(
            drive,
            out / name.replace(' ', '_'),
            {'depth_node': node},
            (*outputs, *OUTPUTS),
            topics=topics,
        )
        print(f'{time.monotonic() - began:.0f} s', flush=True)
    if simulated:
        compare(drive.bag, found, out, factor)
    return found['with LiDAR']


def compare(truth: Path, runs: dict[str, Path], out: Path, factor: float = 1.0) -> dict[str, Any]:
    """
    Error of the scale of each run, by condition; printed, and written to lidar.json.

    :param truth: the bag with the true depth.
    :param runs: name → recorded bag.
    :param out: folder of the file.
    :param factor: that the model was made wrong by.
    :returns: `factor`, and `runs`: name → `conditions`: condition → number of frames, median of
        the error of the scale and of AbsRel; and `series`: stamp in ns and median of depth / truth
        of each frame, those before the scale has settled, too.
    """
    conditions, depths = _truth(truth)
    first = min(depths, default=0) + round(SETTLING * 1e9)
    figures: dict[str, Any] = {'factor': factor, 'runs': {}}
    for name, recorded in runs.items():
        errors: dict[str, list[tuple[float, float]]] = {}
        series: list[tuple[int, float]] = []
        for stamp, depth in _depth(recorded, DEPTH):
            if stamp not in depths:
                continue
            right = depths[stamp]
            valid = valid_mask(right, NEAR, FAR) & np.isfinite(depth)
            if valid.sum() < 100:
                continue
            ratio = depth[valid] / right[valid]
            series.append((stamp, round(float(np.median(ratio)), 4)))
            if stamp < first:
                continue
            when = next((c for s, c in reversed(conditions) if s <= stamp), 'drive')
            scale = abs(float(np.log(np.median(ratio))))
            errors.setdefault(when, []).append((scale, float(np.mean(np.abs(ratio - 1)))))
        conditions_found = {
            when: {
                'frames': len(rows),
                'scale error': round(float(np.median([r[0] for r in rows])), 4),
                'abs_rel': round(float(np.median([r[1] for r in rows])), 4),
            }
            for when, rows in errors.items()
        }
        figures['runs'][name] = {'conditions': conditions_found, 'series': series}
    atomic_write(out / FIGURES, json.dumps(figures, indent=2) + '\n')
    print(f'\n{"":16}{"condition":16}{"frames":>8}{"scale error":>14}{"AbsRel":>10}')
    for name, run in figures['runs'].items():
        for when, row in run['conditions'].items():
            print(
                f'{name:16}{when:16}{row["frames"]:8}{100 * row["scale error"]:12.1f} %'
                f'{row["abs_rel"]:10.3f}'
            )
    return figures


def _truth(bag: Path) -> tuple[list[tuple[int, str]], dict[int, NDArray[np.float32]]]:
    """Conditions with their first stamps, and every fourth row and column of true depth."""
    conditions: list[tuple[int, str]] = []
    with BagReader(bag) as reader:
        if any(t.name == CONDITIONS for t in reader.topics):
            conditions = [(at, m.data) for _, m, at in reader.read([CONDITIONS])]
    return conditions, dict(_depth(bag, TRUTH))


def _depth(bag: Path, topic: str) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Stamp and every fourth row and column of each depth image."""
    with BagReader(bag) as reader:
        for _, message, _ in reader.read([topic]):
            yield stamp_ns(message), np.array(message_to_array(message)[::4, ::4], np.float32)
