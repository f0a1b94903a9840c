# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Accuracy and confidence of a model bundle on held-out simulated frames, as JSON.

python bench/accuracy.py --model lite --out accuracy.json

World seeds start at 1,000,000, where training never reaches. Frames are rendered once into the
data folder. The exit code is 1 where a limit is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from monother_ros.core.bundle import find_bundle, load_bundle
from monother_ros.core.files import atomic_write
from monother_ros.engines.select import load_engine
from monother_ros.evaluation.accuracy import blind_baselines, predict, summarise
from monother_ros.learning.rendered import TEST_SEED, DatasetPlan, Frames, render_dataset


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--model', default='lite', help='name or path of the bundle')
    parser.add_argument('--engine', default='auto')
    parser.add_argument('--frames', type=int, default=288, help='held-out frames, 3 per world')
    parser.add_argument(
        '--first-seed', type=int, default=TEST_SEED, help='first held-out world, 1,000,000 or more'
    )
    parser.add_argument('--data', type=Path, default=Path('data/lite'), help='rendered frames')
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--out', type=Path, help='JSON file; printed as well')
    return parser.parse_args()


def main() -> int:
    """Render what is missing, predict, score, compare with the limits."""
    arguments = parse()
    first = arguments.first_seed
    if first < TEST_SEED:
        sys.exit(f'--first-seed {first}: worlds below {TEST_SEED} may have been trained on')
    held_out = DatasetPlan(arguments.frames, first, frames_per_world=3)
    test = arguments.data / ('test' if first == TEST_SEED else f'test-{first}')
    blind = DatasetPlan(480, frames_per_world=4)
    render_dataset(held_out, test, workers=arguments.workers)
    render_dataset(blind, arguments.data / 'blind', workers=arguments.workers)
    frames = Frames(test, arguments.frames)
    training = Frames(arguments.data / 'blind')
    bundle = load_bundle(find_bundle(arguments.model))
    engine = load_engine(bundle, arguments.engine)
    predictions = predict(engine, frames, range(len(frames)))
    summary = summarise(predictions)
    blind_all = blind_baselines(training, predictions)
    blind_scene = blind_baselines(training, predictions, by_scene=True)
    overall = summary['overall']
    limits = {
        'abs_rel <= 0.15': overall['abs_rel'] <= 0.15,
        'd1 >= 0.80': overall['d1'] >= 0.80,
        'abs_rel <= half of the best blind predictor': overall['abs_rel']
        <= 0.5 * min(blind_all.values()),
        'ause <= half of a random ranking': overall['ause_ratio'] <= 0.5,
    }
    report = {
        'model': bundle.name,
        'revision': bundle.revision,
        'digest': bundle.digest,
        'engine': engine.name,
        'frames': len(frames),
        'worlds': held_out.worlds,
        'world_seeds': [first, first + held_out.worlds - 1],
        **summary,
        'blind_abs_rel': blind_all,
        'blind_abs_rel_knowing_the_scene': blind_scene,
        'limits': limits,
    }
    text = json.dumps(report, indent=2) + '\n'
    print(text, end='')
    if arguments.out:
        atomic_write(arguments.out, text)
    return 0 if all(limits.values()) else 1


if __name__ == '__main__':
    sys.exit(main())
