# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
How often gates, alignment monitor and guard are right.

    python bench/gates.py --out gates.json

Gates and alignment see simulated drives of all scenes (seeds 101 and up, which no test uses),
frames spread over the whole drive. Depth of the simulated teacher is the true one with smooth
errors of 12 %. Times are of the processor, of one thread.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from monother_ros.core.bundle import load_bundle
from monother_ros.core.files import atomic_write
from monother_ros.core.models import find_bundle
from monother_ros.core.shutter import ShutterState
from monother_ros.learning.alignment import AlignmentMonitor
from monother_ros.learning.gates import Gates
from monother_ros.learning.guard import Guard
from monother_ros.learning.online_pair import PairMaker, RigView
from monother_ros.learning.rectify import Rectifier
from monother_ros.sim import defects
from monother_ros.sim.simulator import SimConfig, Simulator

SCENES = ('street', 'corridor', 'woods', 'yard')
CONDITIONS = (
    ('day', 'clear'), ('dusk', 'clear'), ('night', 'clear'),
    ('day', 'fog'), ('day', 'smoke'), ('day', 'rain'),
)  # fmt: skip
SLIPS = {
    'yaw 1.5': ((0, 1, 0), 1.5), 'yaw -3': ((0, 1, 0), -3.0), 'pitch 1.5': ((1, 0, 0), 1.5),
    'pitch -2.5': ((1, 0, 0), -2.5), 'roll 2': ((0, 0, 1), 2.0), 'roll -3': ((0, 0, 1), -3.0),
    'all axes 2': ((1, 1, 1), 2.0), 'yaw 0.4': ((0, 1, 0), 0.4),
}  # fmt: skip


def drive(scene, seed, time_of_day, weather, count):
    """Simulator and frames spread over its drive."""
    simulator = Simulator(
        SimConfig(
            scene=scene,
            seed=seed,
            time_of_day=time_of_day,
            weather=weather,
            rgb_width=320,
            rgb_height=240,
            shutter=False,
        )
    )
    step = round(simulator.duration / count, 1)
    return simulator, [simulator.frame(k * step, ('thermal', 'rgb')) for k in range(count)]


def reasons(frames, change=None):
    """What the gates say to a drive."""
    gates, rng, found = Gates(), np.random.default_rng(0), []
    for k, frame in enumerate(frames):
        rgb = frame.rgb if change is None else change(frame.rgb, rng)
        stamp = k * 10**9
        found.append(gates.look(rgb, frame.thermal, stamp, stamp, ShutterState.OPEN))
        if found[-1] is None:
            gates.accepted()
    return found


def shares(found):
    """Part of each reason."""
    return {str(k or 'learn'): round(v / len(found), 4) for k, v in Counter(found).items()}


def changes():
    """Defects: name, maker of a change, reason that is right (None: to be learned from)."""
    rng = np.random.default_rng(0)

    def any_axis(length):
        return lambda p, r: defects.motion_blur(
            p, r, length=length, angle=float(r.choice([0, math.pi / 2]))
        )

    def any_angle(length):
        return lambda p, r: defects.motion_blur(p, r, length=length, angle=float(r.uniform(0, 3)))

    found = [
        ('drops, 8', lambda: defects.Drops((240, 320), 8, rng), 'rain on the lens'),
        ('drops, 15', lambda: defects.Drops((240, 320), 15, rng), 'rain on the lens'),
        ('drops, 40 small', lambda: defects.Drops((240, 320), 40, rng, (0.02, 0.05)),
         'rain on the lens'),
        ('motion 5 px', lambda: any_axis(5), 'blurred'),
        ('motion 8 px, any direction', lambda: any_angle(8), 'blurred'),
        ('motion 12 px, any direction', lambda: any_angle(12), 'blurred'),
    ]  # fmt: skip
    found += [
        (f'glare, radius {r}', lambda r=r: lambda p, g: defects.glare(p, g, radius=r), 'glare')
        for r in (0.12, 0.18)
    ]
    found += [
        (f'defocus {s} px', lambda s=s: lambda p, g: defects.defocus(p, g, sigma=s), 'blurred')
        for s in (1.5, 2.5)
    ]
    found += [
        (f'light 1/{d}', lambda d=d: lambda p, g: defects.low_light(p, g, light=1 / d), reason)
        for d, reason in ((1, None), (16, None), (100, 'night'), (1000, 'night'))
    ]
    found += [
        (f'dark, well exposed {f}', lambda f=f: lambda p, _: defects.underexposed(p, f), None)
        for f in (0.25, 0.15)
    ]
    return found


def gates_part(days, frames, seed):
    """Rates of the gates."""
    result = {'conditions': {}, 'defects': {}}
    for time_of_day, weather in CONDITIONS:
        for scene in SCENES:
            if (time_of_day, weather) == ('day', 'clear'):
                found = [r for fr in days[scene] for r in reasons(fr)]
            else:
                _, pictures = drive(scene, seed + 100, time_of_day, weather, frames // 2)
                found = reasons(pictures)
            result['conditions'][f'{time_of_day} {weather} {scene}'] = shares(found)
    every = [fr for scene in SCENES for fr in days[scene]]
    for name, make, right in changes():
        found, late = [], []
        for pictures in every:
            one = reasons(pictures, make())
            found += one
            late += one[6:]
        result['defects'][name] = {
            'right': right or 'learn',
            'rate': round(sum(r == right for r in found) / len(found), 4),
            'rate_after_6_views': round(sum(r == right for r in late) / len(late), 4),
            'shares': shares(found),
        }
    size = (640, 480)
    pictures = [
        (cv2.resize(f.rgb, size), cv2.resize(f.thermal, (640, 512))) for f in every[0][:20]
    ]
    gates, spent = Gates(), []
    for k, (rgb, thermal) in enumerate(pictures * 3):
        start = time.thread_time()
        gates.look(rgb, thermal, k, k, ShutterState.OPEN)
        spent.append((time.thread_time() - start) * 1e3)
        gates.accepted()
    result['cpu_ms_640x480'] = {
        'median': round(float(np.median(spent[10:])), 2),
        'p95': round(float(np.percentile(spent[10:], 95)), 2),
    }
    return result


def pairs_of(simulator, frames, bundle, seed):
    """Pairs with the depth of a teacher that is wrong by some 12 %."""
    rig, rng = simulator.rig, np.random.default_rng(seed)
    make = PairMaker(bundle, rig.thermal, rig.rgb, rig.rgb_from_thermal)
    flat = Rectifier(rig.rgb, (make.rig.width, make.rig.height))
    found = []
    for frame in frames:
        depth = cv2.medianBlur(flat.depth(frame.rgb_depth), 5)
        bend = rng.normal(0, 0.12, (5, 6)).astype(np.float32)
        bend = cv2.resize(bend, (depth.shape[1], depth.shape[0]), interpolation=cv2.INTER_CUBIC)
        pair = make(frame.thermal, frame.stamp_ns, frame.rgb)
        depth = np.where(depth > 100, 0, depth * np.exp(bend)).astype(np.float16)
        found.append(replace(pair, teacher_depth=depth))
    return found


def alignment_part(simulators, days):
    """Alarms of good and of slipped calibrations."""
    bundle = load_bundle(find_bundle('lite'), verify=False)
    alarms, looks, worst, spent = 0, 0, 0.0, []
    slips = {name: [] for name in SLIPS}
    errors = []
    for scene in SCENES:
        for simulator, frames in zip(simulators[scene], days[scene], strict=True):
            pairs = pairs_of(simulator, frames, bundle, 0)
            monitor = AlignmentMonitor()
            for pair in pairs:
                start = time.thread_time()
                found = monitor.update(pair)
                spent.append((time.thread_time() - start) * 1e3)
                alarms += found.slipped
                looks += 1
                worst = max(worst, math.hypot(*found.offset))
            rig = simulator.rig
            for name, (axis, degrees) in SLIPS.items():
                turn = np.array(axis, float) / np.linalg.norm(axis) * math.radians(degrees)
                pose = np.eye(4)
                pose[:3, :3] = cv2.Rodrigues(turn)[0]
                wrong = RigView.of(bundle, rig.thermal, rig.rgb, rig.rgb_from_thermal @ pose)
                monitor, first = AlignmentMonitor(), None
                for k, pair in enumerate(pairs[:16]):
                    found = monitor.update(replace(pair, rig=wrong))
                    if found.slipped:
                        first = k + 1
                        break
                slips[name].append(first)
                if name.startswith('yaw'):
                    expected = abs(wrong.thermal_intrinsics[0, 0] * math.tan(abs(turn[1])))
                    errors.append(abs(abs(found.offset[0]) - float(expected)))
    return {
        'good': {'drives': sum(len(d) for d in days.values()), 'looks': looks, 'alarms': alarms,
                 'largest_offset_px': round(worst, 2)},
        'slipped': {name: {'drives': len(v), 'found': sum(x is not None for x in v),
                           'pairs_needed_at_most': max((x for x in v if x), default=None)}
                    for name, v in slips.items()},
        'median_error_of_offset_px': round(float(np.median(errors)), 2),
        'cpu_ms_per_pair': round(float(np.median(spent)), 1),
    }  # fmt: skip


def noise_of(rng, count, alike, skewed):
    """Autoregressive noise of unit deviation."""
    white = rng.standard_exponential(count) - 1 if skewed else rng.standard_normal(count)
    for k in range(1, count):
        white[k] = alike * white[k - 1] + math.sqrt(1 - alike**2) * white[k]
    return white


def guard_part(runs):
    """False offers over 50 looks without improvement, and how often 5 % are found."""
    false, power = {}, {}
    for alike, skewed in ((0, 0), (0.3, 0), (0.6, 0), (0.8, 0), (0, 1), (0.3, 1), (0.6, 1)):
        offered = 0
        for run in range(runs):
            rng, guard = np.random.default_rng([run, 41]), Guard()
            before = 0.2 * np.exp(0.4 * rng.standard_normal(140))
            common = noise_of(rng, 140, alike, skewed)
            for look in range(50):
                fresh = noise_of(rng, 140, alike, skewed)
                common = 0.9 * common + math.sqrt(1 - 0.81) * fresh
                part = slice(2 * look, 2 * look + 40)
                after = before[part] * np.exp(0.08 * common[part])
                if guard.judge(before[part], after).action == 'offer':
                    offered += 1
                    break
        false[f'correlation {alike}{" skewed" if skewed else ""}'] = round(offered / runs, 4)
    for alike in (0, 0.3, 0.5):
        for gain in (0.03, 0.05, 0.1, 0.2):
            offered = 0
            for run in range(runs):
                rng, guard = np.random.default_rng([run, 42]), Guard()
                before = 0.2 * np.exp(0.4 * rng.standard_normal(40))
                change = math.log(1 - gain) + 0.06 * noise_of(rng, 40, alike, False)
                offered += guard.judge(before, before * np.exp(change)).action == 'offer'
            power[f'correlation {alike}, {gain:.0%} better'] = round(offered / runs, 4)
    for alike, skewed in ((0, 0), (0.6, 0), (0.9, 0), (0, 1), (0.6, 1), (0.9, 1)):
        key = f'blocks, correlation {alike}{" skewed" if skewed else ""}'
        false[key] = round(sum(blocks_run(run, alike, skewed) for run in range(runs)) / runs, 4)
    for gain in (0.05, 0.1, 0.2, 0.4):
        offered = 0
        for run in range(runs):
            rng = np.random.default_rng([run, 43])
            before = 0.2 * np.exp(0.4 * rng.standard_normal(40))
            noise = np.concatenate([noise_of(rng, 8, 0.8, False) for _ in range(5)])
            after = before * np.exp(math.log(1 - gain) + 0.06 * noise)
            blocks = np.arange(40) // 8
            offered += Guard().judge(before, after, blocks=blocks).action == 'offer'
        power[f'5 blocks, correlation 0.8, {gain:.0%} better'] = round(offered / runs, 4)
    return {'runs': runs, 'false_offers_in_50_looks': false, 'found_at_the_first_look': power}


def blocks_run(run, alike, skewed):
    """Whether 50 looks at blocks of 8 pairs, 32 pairs apart, lead to a false offer."""
    rng, guard = np.random.default_rng([run, 44]), Guard()

    def fresh():
        return noise_of(rng, 40 * 30, alike, skewed).reshape(30, 40)[:, :8]

    before = 0.2 * np.exp(0.4 * rng.standard_normal((30, 8)))
    common = fresh()
    for look in range(50):
        common = 0.9 * common + math.sqrt(1 - 0.81) * fresh()
        end = 5 + look // 2
        part = slice(max(0, end - 12), end)
        old = before[part].ravel()
        new = old * np.exp(0.08 * common[part].ravel())
        if guard.judge(old, new, blocks=np.arange(len(old)) // 8).action == 'offer':
            return True
    return False


def main() -> None:
    """Measure, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--out', type=Path, required=True, help='JSON file')
    parser.add_argument('--worlds', type=int, default=3, help='clear days per scene')
    parser.add_argument('--frames', type=int, default=40, help='frames of a drive')
    parser.add_argument('--runs', type=int, default=300, help='simulated runs of the guard')
    parser.add_argument('--seed', type=int, default=101, help='first seed of the worlds')
    words = parser.parse_args()
    cv2.setNumThreads(1)
    simulators, days = {}, {}
    for scene in SCENES:
        made = [
            drive(scene, words.seed + k, 'day', 'clear', words.frames) for k in range(words.worlds)
        ]
        simulators[scene], days[scene] = [m[0] for m in made], [m[1] for m in made]
    result = {
        'guard': guard_part(words.runs),
        'gates': gates_part(days, words.frames, words.seed),
        'alignment': alignment_part(simulators, days),
        'python': platform.python_version(),
        'numpy': np.__version__,
        'opencv': cv2.__version__,
        'load': os.getloadavg()[0],
    }
    atomic_write(words.out, json.dumps(result, indent=2) + '\n')
    print(json.dumps(result, indent=2))


if __name__ == '__main__':
    main()
