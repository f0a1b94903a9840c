# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
How much better thermal depth gets in new worlds by learning on the vehicle.

A student that knows simulated worlds of one kind meets others: other materials and temperatures,
another sensor response, other mounts, another kind of scene. It drives through each for five
minutes by day and learns from the RGB teacher at real-time rate; the clock is virtual, so that
the number of steps is what the step rate allows in that time and does not depend on the machine.
About half of the time a part of the RGB picture is spoiled by low sun, dust or drops (see
adaptation_faults.py; --rgb clear for none). Learning has a seed; results are means over --seeds.
Then it is judged where the drive never went, by day and at night, through the pipeline and engine
that run on the robot. Compared with: the student as it came, offline label-free fine-tuning on
the whole drive (SSFT of MonoTher-Depth), learning online without confidence, and the teacher
itself.

    python bench/adaptation.py --out adaptation.json
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import adaptation_runs as runs
import numpy as np
from adaptation_data import RATE, drive, judged
from adaptation_faults import FaultyRgb

from monother_ros.core.bundle import find_bundle, load_bundle
from monother_ros.core.files import atomic_write
from monother_ros.learning.adaptation import AdaptationSettings
from monother_ros.learning.rendered import TEST_SEED, DatasetPlan, Frames, render_dataset
from monother_ros.sim.new_worlds import NEW_WORLDS, new_world

if TYPE_CHECKING:
    import torch
    from adaptation_data import Rendered

    from monother_ros.sim.new_worlds import NewWorld

PUBLISHED = 22.88
"""Published reduction of AbsRel in new scenes without labels, percent (MonoTher-Depth)."""

KEEP = 2.0
"""Percent by which the source worlds may get worse."""

WAYS = ('before', 'online', 'without confidence', 'offline')

SEEDED = ('online', 'without confidence')
"""Ways that are taken with every seed; what they differ by is small against what one order of the
pairs differs from another."""

VERSION = 5
"""Of what kept results were made with; to be raised when learning changes."""


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--model', default='lite')
    parser.add_argument('--teacher', default='bundle:lite-rgb')
    parser.add_argument('--confidence', default='lite-confidence')
    parser.add_argument('--anchors', default='lite-anchors')
    names = [world.name for world in NEW_WORLDS]
    parser.add_argument('--worlds', nargs='*', default=names, choices=names)
    parser.add_argument('--seeds', type=int, default=2, help='of learning online')
    parser.add_argument('--rgb', choices=('spoiled', 'clear'), default='spoiled')
    parser.add_argument('--minutes', type=float, default=5.0, help='of driving by day')
    parser.add_argument('--frames', type=int, default=40, help='judged by day, and at night')
    parser.add_argument('--source-frames', type=int, default=144)
    parser.add_argument('--step-rate', type=float, help='optimiser steps per second of driving')
    parser.add_argument('--ways', nargs='*', default=WAYS, choices=WAYS)
    parser.add_argument('--data', type=Path, default=Path('data/adaptation'), help='kept results')
    parser.add_argument('--workers', type=int, default=2, help='worlds at a time, one thread each')
    parser.add_argument('--out', type=Path, help='JSON file; a picture is put beside it')
    return parser.parse_args()


def load(arguments: argparse.Namespace) -> runs.Learner:
    """Student, teacher, confidence network and anchors."""
    import torch

    from monother_ros.core.models import find_model
    from monother_ros.learning.anchors import Anchors
    from monother_ros.learning.teacher import load_teacher
    from monother_ros.networks.confidence_file import load_confidence

    torch.set_num_threads(1)
    settings = AdaptationSettings()
    if arguments.step_rate:
        settings = replace(settings, step_rate=arguments.step_rate)
    return runs.Learner(
        load_bundle(find_bundle(arguments.model)),
        load_teacher(arguments.teacher),
        load_confidence(arguments.confidence),
        Anchors.load(
            find_model(arguments.anchors, 'anchors.npz', 'folder of anchors') / 'anchors.npz'
        ),
        settings,
    )


def driven(arguments: argparse.Namespace, world: NewWorld) -> Rendered:
    """The drive that is learned from."""
    clear = drive(world.config(), 60 * arguments.minutes, arguments.data)
    if arguments.rgb == 'clear':
        return clear
    seen: Any = FaultyRgb(clear.rgb, RATE, world.seed)
    return replace(clear, rgb=seen)


def render(job: tuple[argparse.Namespace, str]) -> None:
    """Everything that is seen in one world."""
    arguments, name = job
    world = new_world(name)
    driven(arguments, world)
    for when in ('day', 'night'):
        judged(world.config(when), when, arguments.frames, arguments.data)


def one_run(job: tuple[argparse.Namespace, str, str, int]) -> dict[str, Any]:
    """One way of learning, with one seed, in one world; kept, so that it is not done again."""
    arguments, name, way, seed = job
    world = new_world(name)
    learner = load(arguments)
    base = learner.settings
    settings = replace(base, seed=seed, distiller=replace(base.distiller, seed=seed))
    learner = replace(learner, settings=settings)
    plan: list[Any] = [way, arguments.frames, world]
    if way == 'teacher':
        plan.append(learner.teacher.name)
    else:
        plan += [learner.bundle.digest, arguments.source_frames]
    if way not in ('teacher', 'before'):
        plan += [VERSION, settings, learner.teacher.name, arguments.minutes, arguments.rgb]
    if way in ('online', 'offline'):
        plan.append(weights_digest(learner.confidence))
    digest = hashlib.sha256(repr(plan).encode()).hexdigest()[:12]
    stored = Path(arguments.data) / f'result-{digest}.json'
    if stored.is_file():
        return dict(json.loads(stored.read_text()))
    start = time.perf_counter()
    result = take(arguments, learner, world, way)
    atomic_write(stored, json.dumps(result))
    figures = ' / '.join(f'{runs.mean(v):.4f}' for k, v in result.items() if k != 'run')
    seconds = time.perf_counter() - start
    print(f'{name}, {way}, seed {seed}: {figures} ({seconds:.0f} s)', file=sys.stderr, flush=True)
    return result


def take(
    arguments: argparse.Namespace, learner: runs.Learner, world: NewWorld, way: str
) -> dict[str, Any]:
    """Learn, and judge what was learned."""
    tests = {
        when: judged(world.config(when), when, arguments.frames, arguments.data)
        for when in ('day', 'night')
    }
    if way == 'teacher':
        size = learner.bundle.input_size
        return {
            k: runs.judge_teacher(learner.teacher, frames, size) for k, frames in tests.items()
        }
    source = Frames(arguments.data / 'source', arguments.source_frames)
    folder = runs.new_folder()
    try:
        bundle: Any = learner.bundle
        done: dict[str, Any] = {}
        if way in SEEDED:
            confidence = way == 'online'
            done = learner.online(driven(arguments, world), folder, confidence=confidence)
            bundle = done['bundle']
        elif way == 'offline':
            done = learner.offline(driven(arguments, world), folder)
            bundle = done['bundle']
        return {
            **{when: runs.judge(bundle, frames) for when, frames in tests.items()},
            'source': runs.judge_source(bundle, source),
            'run': done,
        }
    finally:
        shutil.rmtree(folder)


def weights_digest(network: torch.nn.Module) -> str:
    """Names the weights of a network."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode() + value.cpu().numpy().tobytes())
    return digest.hexdigest()[:12]


def collect(found: dict[tuple[str, str, int], dict[str, Any]], name: str) -> dict[str, Any]:
    """All ways in one world; frames are means over the seeds."""
    world = new_world(name)
    result: dict[str, Any] = {'world': name, 'difference': world.difference}
    for way in dict.fromkeys(key[1] for key in found):
        seeds = [r for key, r in found.items() if key[:2] == (name, way)]
        result[way] = {
            key: np.mean([r[key] for r in seeds], axis=0).tolist()
            for key in ('day', 'night', 'source')
            if key in seeds[0]
        }
        result[way]['runs'] = [r['run'] for r in seeds if 'run' in r]
    return result


def line(result: dict[str, Any]) -> str:
    """One world in a line."""
    parts = [f'{result["world"]:<22}']
    for way in WAYS:
        if way in result:
            day, night, home = (runs.mean(result[way][k]) for k in ('day', 'night', 'source'))
            parts.append(f'{way} {day:.3f}/{night:.3f} (source {home:.4f})')
    day, night = (runs.mean(result['teacher'][k]) for k in ('day', 'night'))
    return '  '.join([*parts, f'teacher {day:.3f}/{night:.3f}'])


def summary(results: list[dict[str, Any]], ways: list[str]) -> dict[str, Any]:
    """Means over the worlds, and the promises that follow from them."""
    table: dict[str, Any] = {}
    for way in (*ways, 'teacher'):
        table[way] = {}
        for key in ('day', 'night', 'source'):
            if key not in results[0][way]:
                continue
            means = np.array([runs.mean(r[way][key]) for r in results])
            table[way][key] = round(float(means.mean()), 4)
            if way not in ('before', 'teacher') and 'before' in ways:
                old = np.array([runs.mean(r['before'][key]) for r in results])
                table[way][f'{key}_reduction_percent'] = round(
                    float(100 * (1 - means / old).mean()), 2
                )
                table[way][f'{key}_worst_percent'] = round(float(100 * (1 - means / old).min()), 2)
    promises: dict[str, bool] = {}
    if 'online' in table and 'before' in ways:
        online = table['online']
        for when in ('day', 'night'):
            promises[f'{when}: reduction >= {PUBLISHED} %'] = (
                online[f'{when}_reduction_percent'] >= PUBLISHED
            )
            promises[f'{when}: no world worse'] = online[f'{when}_worst_percent'] >= 0.0
            if 'without confidence' in table:
                promises[f'{when}: better than without confidence'] = (
                    online[when] < table['without confidence'][when]
                )
        promises[f'source worlds at most {KEEP} % worse'] = online['source_worst_percent'] >= -KEEP
    return {'means': table, 'promises': promises}


def draw(results: list[dict[str, Any]], ways: list[str], path: Path) -> None:
    """Bars of AbsRel by world, day and night."""
    import matplotlib as mpl

    mpl.use('Agg')
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 1, figsize=(11, 7), sharex=True, constrained_layout=True)
    names = [r['world'] for r in results]
    shown = [*ways, 'teacher']
    for axis, when in zip(axes, ('day', 'night'), strict=True):
        for k, way in enumerate(shown):
            heights = [runs.mean(r[way][when]) for r in results]
            places = np.arange(len(names)) + (k - (len(shown) - 1) / 2) * 0.8 / len(shown)
            color = '0.75' if way == 'teacher' else f'C{k}'
            axis.bar(places, heights, 0.8 / len(shown), label=way, color=color)
        axis.set_ylabel(f'AbsRel, {when}')
        axis.grid(axis='y', alpha=0.3)
    axes[0].set_title('Thermal depth in worlds never seen (lower is better)')
    axes[0].legend(ncols=len(shown))
    axes[1].set_xticks(range(len(names)), names)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> int:
    """Run the experiment."""
    arguments = parse()
    plan = DatasetPlan(arguments.source_frames, TEST_SEED, frames_per_world=3)
    render_dataset(plan, arguments.data / 'source', workers=arguments.workers)
    ways = [way for way in WAYS if way in arguments.ways]
    jobs = [
        (name, way, seed)
        for seed in range(arguments.seeds)
        for way in (*ways, 'teacher')
        for name in arguments.worlds
        if seed == 0 or way in SEEDED
    ]
    context = multiprocessing.get_context('spawn')
    with context.Pool(max(1, arguments.workers)) as pool:
        pool.map(render, [(arguments, name) for name in arguments.worlds], chunksize=1)
        done = pool.map(one_run, [(arguments, *job) for job in jobs], chunksize=1)
    found = dict(zip(jobs, done, strict=True))
    results = [collect(found, name) for name in arguments.worlds]
    report = {
        'what': 'AbsRel, 0.5 to 80 m, no scale alignment, per frame',
        'model': arguments.model,
        'teacher': arguments.teacher,
        'minutes': arguments.minutes,
        'rgb': arguments.rgb,
        'seeds': arguments.seeds,
        'settings': repr(AdaptationSettings()),
        **summary(results, ways),
        'worlds': results,
    }
    for result in results:
        print(line(result))
    print(json.dumps({k: report[k] for k in ('means', 'promises')}, indent=2))
    if arguments.out:
        atomic_write(arguments.out, json.dumps(report, indent=1) + '\n')
        draw(results, ways, arguments.out.with_suffix('.png'))
    return 0 if all(report['promises'].values()) else 1


if __name__ == '__main__':
    sys.exit(main())
