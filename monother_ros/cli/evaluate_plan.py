# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Command line of the verb evaluate, and the recordings and models that it names."""

from __future__ import annotations

import argparse
import glob
from collections.abc import Sequence
from pathlib import Path

from monother_ros.core.bundle import find_bundle, load_bundle
from monother_ros.core.errors import BagError, SettingsError
from monother_ros.engines.base import PRECISIONS
from monother_ros.engines.select import engine_names
from monother_ros.evaluation.evaluate.settings import (
    CROPS,
    GROUPS,
    POINTS,
    SHUTTER,
    EvaluationSettings,
)
from monother_ros.evaluation.evaluate.sources import SourceOptions
from monother_ros.evaluation.evaluate.task import Task
from monother_ros.learning.ms2 import LABELS
from monother_ros.ros.bags import storage_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    Declare the arguments of the verb.

    :param parser: parser of the verb.
    """
    usual = EvaluationSettings()
    read = SourceOptions()
    add = parser.add_argument
    add(
        'sources',
        nargs='*',
        metavar='SOURCE',
        help='a bag; ms2:ROOT,split=test_day+test_night; vivid:ROOT,split=test; a folder of '
        'thermal images with --truth; sim:street,night,fog,seed=7,seconds=10',
    )
    add('--bags', nargs='+', default=[], metavar='PATTERN', help="many bags, such as 'drive_*/'")
    add(
        '--model',
        nargs='+',
        default=['lite'],
        metavar='BUNDLE',
        help='model bundles by name or folder; differences are told to the first (default: lite)',
    )
    add(
        '-o',
        '--out',
        type=Path,
        help='folder for the page, JSON, CSV, and what is needed to go '
        'on after an interruption; without it there is a table alone',
    )
    add('--title', default='Evaluation', help='heading of the page')
    add('--no-page', action='store_true', help='write no page')
    add('--fresh', action='store_true', help='start from nothing, not from what --out holds')

    group = parser.add_argument_group('recordings')
    add = group.add_argument
    add(
        '--truth',
        default=read.truth,
        metavar='WHAT',
        help='ground truth: auto (depth topic, else LiDAR), topic, lidar, a topic of depth images '
        'or points, or a folder of depth images named by stamp in ns',
    )
    add(
        '--truth-scale',
        type=float,
        default=read.truth_scale,
        metavar='COUNTS',
        help='counts per metre of PNG files: 256 (KITTI, MS2; default), 1000 (mm)',
    )
    add(
        '--topic',
        nargs='+',
        default=[],
        metavar='ROLE=/TOPIC',
        help='where a bag names a topic unusually; roles: thermal, thermal_info, truth, lidar, '
        'static, condition',
    )
    add('--calibration', type=Path, help='camera_info YAML of the thermal camera')
    add('--extrinsics', type=Path, help='file with 4x4 numbers, X_thermal = T X_lidar, metres')
    add(
        '--slop',
        type=float,
        default=read.slop,
        help=f'greatest difference of the stamps of image and truth, s ({read.slop:g})',
    )
    add(
        '--points',
        choices=POINTS,
        default=usual.points,
        help='give LiDAR points to the models (default: to those that take sparse depth)',
    )
    add(
        '--shutter',
        choices=SHUTTER,
        default=usual.shutter,
        help='frames of a closed shutter: skip as the node does, or keep (data sets)',
    )
    add('--labels', choices=tuple(LABELS), default=read.labels, help='labels of MS2')
    add('--no-trim', action='store_true', help='keep the borders of ViViD labels')
    add('--rate', type=float, default=read.rate, help='frames per second of images without stamps')

    group = parser.add_argument_group('figures')
    add = group.add_argument
    add('--metrics', nargs='+', choices=GROUPS, default=list(GROUPS), help='groups of metrics')
    add('--near', type=float, default=usual.near, help='nearest ground truth that counts, m')
    add('--far', type=float, default=usual.far, help='farthest ground truth that counts, m')
    add('--crop', choices=CROPS, default=usual.crop, help='part of the image that counts')
    add('--told-only', action='store_true', help='score only pixels that a robot would publish')
    add(
        '--range',
        type=float,
        nargs=2,
        default=(usual.range_min, usual.range_max),
        metavar=('MIN', 'MAX'),
        help='depths that a robot publishes, m',
    )
    add('--confidence-min', type=float, default=0.0, help='least confidence that it publishes')
    add('--every', type=int, default=1, metavar='N', help='score every N-th frame')
    add('--limit', type=int, default=0, metavar='N', help='score N frames of each recording')
    add('--bootstrap', type=int, default=usual.bootstrap, metavar='N', help='resamples')
    add('--block', type=float, default=usual.block, help='seconds of a block of the bootstrap')
    add('--level', type=float, default=usual.level, help='of the confidence intervals')
    add('--seed', type=int, default=usual.seed, help='of the bootstrap')

    group = parser.add_argument_group('machine')
    add = group.add_argument
    add('--engine', choices=engine_names(), default='onnxruntime', help='what runs the models')
    add('--device', default='cpu', help='cpu, cuda, cuda:1, auto')
    add('--precision', choices=PRECISIONS, default='fp32', help='arithmetic of the engine')
    add('--threads', type=int, default=0, help='CPU threads of the engine')
    add('--workers', type=int, help='processes on this machine (default with --bags: by cores)')
    add('--cluster', default='', metavar='ADDRESS', help='a Dask scheduler, tcp://host:8786')


def plan(arguments: argparse.Namespace) -> list[Task]:
    """
    Tasks of a command line: every recording with every model.

    :param arguments: of add_arguments.
    :raises SettingsError: there is no recording, or a value is not allowed.
    :raises BundleError: a model is not there.
    """
    sources = [*arguments.sources, *found_bags(arguments.bags)]
    if not sources:
        msg = "name a recording, such as drive.mcap or sim:street,night, or --bags 'drive_*/'"
        raise SettingsError(msg)
    models = [load_bundle(find_bundle(model)).path for model in dict.fromkeys(arguments.model)]
    topics = {}
    for text in arguments.topic:
        role, equals, topic = text.partition('=')
        if not equals or not topic.startswith('/'):
            msg = f'--topic {text!r} is not of the form ROLE=/TOPIC'
            raise SettingsError(msg)
        topics[role] = topic
    if arguments.slop < 0 or arguments.rate <= 0 or arguments.truth_scale <= 0:
        msg = '--slop must not be negative, --rate and --truth-scale must be above 0'
        raise SettingsError(msg)
    options = SourceOptions(
        truth=arguments.truth,
        topics=topics,
        calibration=arguments.calibration,
        extrinsics=arguments.extrinsics,
        truth_scale=arguments.truth_scale,
        slop=arguments.slop,
        labels=arguments.labels,
        trim=not arguments.no_trim,
        rate=arguments.rate,
    )
    settings = EvaluationSettings(
        near=arguments.near,
        far=arguments.far,
        crop=arguments.crop,
        metrics=tuple(arguments.metrics),
        told_only=arguments.told_only,
        range_min=arguments.range[0],
        range_max=arguments.range[1],
        confidence_min=arguments.confidence_min,
        shutter=arguments.shutter,
        points=arguments.points,
        every=arguments.every,
        limit=arguments.limit,
        bootstrap=arguments.bootstrap,
        block=arguments.block,
        level=arguments.level,
        seed=arguments.seed,
    )
    return [
        Task(
            source,
            str(model),
            name,
            settings,
            options,
            arguments.engine,
            arguments.threads,
            arguments.device,
            arguments.precision,
        )
        for source, name in zip(sources, names_of(sources), strict=True)
        for model in models
    ]


def found_bags(patterns: Sequence[str]) -> list[str]:
    """
    Bags that match patterns, in the order of their names.

    :param patterns: paths that may hold * and ?.
    :raises SettingsError: a pattern matches no bag.
    """
    found: list[str] = []
    for pattern in patterns:
        # the pattern may be absolute, which Path.glob does not take
        paths = sorted(glob.glob(str(Path(pattern).expanduser())))  # noqa: PTH207
        bags = [path for path in paths if _is_bag(path)]
        if not bags:
            seen = f'none of {len(paths)} that match is one' if paths else 'nothing matches'
            msg = f'--bags {pattern}: no bag; {seen}'
            raise SettingsError(msg)
        found += bags
    return list(dict.fromkeys(found))


def _is_bag(path: str) -> bool:
    """Whether a path is a bag."""
    try:
        storage_path(path)
    except BagError:
        return False
    return True


def names_of(sources: Sequence[str]) -> list[str]:
    """
    Names of recordings for tables, each another one.

    :param sources: as given; paths are called by their last part, or by more where these agree.
    """
    parts: list[tuple[str, ...]] = []
    for source in sources:
        kind, colon, rest = source.partition(':')
        if colon and kind in ('sim', 'ms2', 'vivid'):
            parts.append((f'{kind} {rest.replace(",", " ")}',))
        else:
            path = Path(source).expanduser().absolute()
            parts.append((*path.parts[1:-1], path.stem))
    for depth in range(1, max(map(len, parts)) + 1):
        names = ['/'.join(part[-depth:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [f'{"/".join(part)} ({k})' for k, part in enumerate(parts, 1)]
