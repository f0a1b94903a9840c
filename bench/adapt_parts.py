# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Which part of a student gains most per second of learning.

    python bench/adapt_parts.py --out adapt_parts.json

For every part the lite student takes steps of 4 pairs and 2 anchors in a new simulated world,
with its RGB teacher, until a budget of seconds is spent. Reported are the time of a step, the
memory, how many numbers are trained, the error of depth in that world where the drive did not go,
by day and at night, and the error in the source worlds. With --vit the cost of a vision
transformer of the small size with random weights is measured as well. Each part runs in a process
of its own. On a CPU the budget counts what the process computes divided by its threads, so that a
busy machine does not change the result.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from adaptation_data import Rendered, drive, judged

from monother_ros.core.bundle import Bundle, find_bundle, load_bundle
from monother_ros.core.files import atomic_write
from monother_ros.core.models import find_model
from monother_ros.core.thermal import Normaliser
from monother_ros.learning.anchors import Anchors
from monother_ros.learning.distiller import Distiller, DistillerSettings
from monother_ros.learning.online_pair import OnlinePair, PairMaker
from monother_ros.learning.rectify import Rectifier
from monother_ros.learning.student import PARTS, Student, load_student
from monother_ros.learning.teacher import load_teacher
from monother_ros.sim.new_worlds import new_world

RATES = {'head': 2e-3, 'decoder': 1e-3, 'norm': 2e-3, 'all': 3e-4, 'adapters': 1e-3}
"""Learning rate of each part unless --rate is given; fewer numbers bear larger steps."""

BATCH, ANCHORS = 4, 2
DRIVE = 300.0
"""Seconds of the drive that the pairs are spread over."""
NEAR, FAR = 0.5, 80.0


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--out', type=Path, required=True, help='JSON file')
    parser.add_argument('--parts', nargs='+', choices=PARTS, default=list(PARTS))
    parser.add_argument('--seconds', type=float, default=60.0, help='of learning for each part')
    parser.add_argument('--device', default='cpu', help='cpu or cuda')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--world', default='street in winter', help='see sim/new_worlds.py')
    parser.add_argument('--pairs', type=int, default=80)
    parser.add_argument('--frames', type=int, default=24, help='to judge by, day and night each')
    parser.add_argument('--model', default='lite')
    parser.add_argument('--teacher', default='bundle:lite-rgb', help="or 'truth'")
    parser.add_argument('--confidence', default='lite-confidence', help="or 'none'")
    parser.add_argument('--anchors', default='lite-anchors', help="or 'none'")
    parser.add_argument('--rate', type=float, help='learning rate of all parts')
    parser.add_argument('--set', nargs='*', default=[], help='of DistillerSettings, NAME=NUMBER')
    parser.add_argument('--data', type=Path, default=Path('data/adaptation'))
    parser.add_argument('--vit', action='store_true', help='cost of a small vision transformer')
    parser.add_argument('--vit-bundle', type=Path, help=argparse.SUPPRESS)
    parser.add_argument('--one', help=argparse.SUPPRESS)
    return parser.parse_args()


def settings(words: argparse.Namespace, part: str) -> DistillerSettings:
    """Of one part."""
    changes = {key: float(value) for key, value in (item.split('=') for item in words.set)}
    return DistillerSettings(part=part, rate=words.rate or RATES[part], **changes)


def taught(words: argparse.Namespace, bundle: Bundle, seen: Rendered) -> list[OnlinePair]:
    """Pairs of the drive with the teacher's depth."""
    maker = PairMaker(bundle, seen.thermal_camera, seen.rgb_camera, seen.extrinsics)
    teacher = None if words.teacher == 'truth' else load_teacher(words.teacher)
    rectifier = Rectifier(seen.rgb_camera, bundle.input_size)
    pairs = []
    for index in np.linspace(0, len(seen) - 1, words.pairs).astype(int):
        pair = maker(np.asarray(seen.thermal[index]), int(seen.stamps[index]), seen.rgb[index])
        if teacher is None:
            depth = rectifier.depth(np.asarray(seen.rgb_depth[index], np.float32))
        else:
            focal = torch.tensor([float(pair.rig.rgb_intrinsics[0, 0])])
            picture = torch.from_numpy(pair.rgb)[None]
            depth = teacher.predict(picture, focal).depth[0, 0].cpu().numpy()
        pairs.append(replace(pair, teacher_depth=np.minimum(depth, 6e4).astype(np.float16)))
    return pairs


def error(student: Student, frames: Rendered, scale: float) -> float:
    """Mean AbsRel over frames with true depth of 0.5 to 80 m."""
    bundle = student.bundle
    normaliser = Normaliser(bundle.normalisation, bundle.input_size)
    found = []
    for index in range(len(frames)):
        picture = normaliser(np.asarray(frames.thermal[index]), int(frames.stamps[index]))
        with torch.no_grad():
            said = student.predict(torch.from_numpy(picture)[None].to(student.device)).depth
        depth = np.clip(said[0, 0].cpu().numpy() * scale, NEAR, FAR)
        truth = np.asarray(frames.depth[index], np.float32)
        counts = (truth > NEAR) & (truth < FAR)
        found.append(np.mean(np.abs(depth[counts] / truth[counts] - 1)))
    return float(np.mean(found))


def spent(device: str, threads: int) -> float:
    """Seconds of the budget's clock."""
    if device != 'cpu':
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time() / threads


def one_part(words: argparse.Namespace, part: str) -> dict[str, Any]:
    """Learn with one part of the student and judge it."""
    bundle = load_bundle(find_bundle(words.model))
    world = new_world(words.world).config()
    pairs = taught(words, bundle, drive(world, DRIVE, words.data))
    tests = {t: judged(world, t, words.frames, words.data) for t in ('day', 'night')}
    student = load_student(bundle, words.device)
    anchors = None
    if words.anchors != 'none':
        folder = find_model(words.anchors, 'anchors.npz', 'folder of anchors')
        anchors = Anchors.load(folder / 'anchors.npz').for_bundle(bundle)
    network = None
    if words.confidence != 'none':
        from monother_ros.networks.confidence_file import load_confidence

        network = load_confidence(words.confidence)
    distiller = Distiller(student, network, settings(words, part))
    kept = None if anchors is None else _halves(anchors)

    def judge() -> dict[str, float]:
        scale = pairs[0].rig.focal_scale
        errors = {when: error(student, frames, scale) for when, frames in tests.items()}
        if kept is not None and anchors is not None:
            errors['source'] = float(np.nanmean(distiller.anchor_errors(anchors.batch(kept[1]))))
        return errors

    before = judge()
    steps = _learn(distiller, pairs, anchors, None if kept is None else kept[0], words)
    after = judge()
    return {
        **steps,
        'trainable': student.trainable_parameters(),
        'before': before,
        'after': after,
        'reduction [%]': {k: round(100 * (1 - after[k] / before[k]), 2) for k in before},
    }


def _halves(anchors: Anchors) -> tuple[np.ndarray, np.ndarray]:
    """Anchors to rehearse, and others to judge by."""
    order = np.arange(len(anchors))
    return order[order % 2 == 0], order[order % 2 == 1]


def _learn(
    distiller: Distiller,
    pairs: Sequence[OnlinePair],
    anchors: Anchors | None,
    rehearsed: np.ndarray | None,
    words: argparse.Namespace,
) -> dict[str, Any]:
    """Steps until the budget is spent; the weights are those averaged over the last steps."""
    rng = np.random.default_rng(0)
    times, count, used = [], 0, 0.0
    average = distiller.student.snapshot()
    while used < words.seconds:
        chosen = rng.choice(len(pairs), min(BATCH, len(pairs)), replace=False)
        batch = None
        if anchors is not None and rehearsed is not None:
            batch = anchors.batch(rng.choice(rehearsed, ANCHORS, replace=False))
        begin, clock = spent(words.device, words.threads), time.perf_counter()
        distiller.step([pairs[i] for i in chosen], batch)
        now = spent(words.device, words.threads)
        if count:  # the first step allocates
            times.append((time.perf_counter() - clock, now - begin))
            used += now - begin
        count += 1
        decay = min(0.98, count / (count + 10))
        for name, value in distiller.student.snapshot().items():
            average[name].lerp_(value, 1 - decay)
    distiller.student.restore(average)
    wall, counted = (np.array(times) * 1e3).T
    return {
        'steps': count,
        'ms per step': {'median': round(float(np.median(counted)), 1)},
        'ms per step by the clock': {
            'median': round(float(np.median(wall)), 1),
            'p99': round(float(np.percentile(wall, 99)), 1),
        },
        **_memory(words.device),
    }


def _memory(device: str) -> dict[str, float]:
    """Peaks of this process."""
    found = {'peak memory [MB]': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    if device != 'cpu':
        found['peak GPU memory [MB]'] = torch.cuda.max_memory_allocated() / 1e6
    return {key: round(value, 1) for key, value in found.items()}


def vit_bundle(folder: Path) -> Path:
    """A small vision transformer with weights by chance, converted for 126x168."""
    from monother_ros.networks.checkpoint import write_checkpoint
    from monother_ros.networks.convert import ConvertSettings, convert
    from monother_ros.networks.monother import MonoTherConfig, MonoTherNetwork

    torch.manual_seed(0)
    network = MonoTherNetwork(MonoTherConfig.preset('vits'))
    checkpoint = write_checkpoint(network, folder / 'vits.safetensors')
    picture = np.random.default_rng(0).integers(0, 255, (126, 168)).astype(np.uint8)
    sizes = ConvertSettings(size=(126, 168))
    convert(checkpoint, folder / 'vits', picture, 'noise', sizes, lambda _: None)
    return folder / 'vits'


def vit_cost(words: argparse.Namespace, part: str) -> dict[str, Any]:
    """Time and memory of steps of one part of the vision transformer."""
    bundle = load_bundle(words.vit_bundle)
    world = new_world(words.world).config()
    pairs = taught(words, bundle, drive(world, DRIVE, words.data))[:8]
    distiller = Distiller(load_student(bundle, words.device), None, settings(words, part))
    found = _learn(distiller, pairs, None, None, words)
    return {**found, 'trainable': distiller.student.trainable_parameters()}


def child(words: argparse.Namespace, part: str, folder: Path, vit: Path | None) -> dict[str, Any]:
    """Result of one part, from a process of its own."""
    out = folder / f'{part}{"-vit" if vit else ""}.json'
    command = [sys.executable, __file__, *sys.argv[1:], '--one', part, '--out', str(out)]
    if vit:
        command += ['--vit-bundle', str(vit)]
    subprocess.run(command, check=True)
    result: dict[str, Any] = json.loads(out.read_text())
    print(part, 'vit' if vit else 'lite', json.dumps(result), file=sys.stderr, flush=True)
    return result


def main() -> int:
    """Run all parts."""
    words = parse()
    torch.set_num_threads(words.threads)
    if words.one:
        found = (vit_cost if words.vit_bundle else one_part)(words, words.one)
        atomic_write(words.out, json.dumps(found))
        return 0
    result: dict[str, Any] = {
        'arguments': {key: str(value) for key, value in vars(words).items()},
        'machine': platform.processor() or platform.machine(),
        'torch': torch.__version__,
        'lite': {},
    }
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for part in words.parts:
            result['lite'][part] = child(words, part, folder, None)
        if words.vit:
            bundle = vit_bundle(folder)
            result['vits'] = {part: child(words, part, folder, bundle) for part in words.parts}
    atomic_write(words.out, json.dumps(result, indent=2) + '\n')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
