# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
How well the field of view of a thermal camera is found from the RGB camera beside it.

Simulated worlds that nothing was trained on; depth and focal length of the RGB picture are the
true ones, so that what is measured is the carrying alone, without Depth Pro's own error.

    python bench/focal.py --worlds 3 --pairs 4
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import time

import numpy as np

from monother_ros.core.errors import CalibrationError
from monother_ros.learning.focal import FocalMatch, estimated_camera
from monother_ros.sim.scenes import SCENES
from monother_ros.sim.simulator import SimConfig, Simulator


def main() -> None:
    """Measure and print one line of JSON per world, and a summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--worlds', type=int, default=3, help='worlds of each scene')
    parser.add_argument('--pairs', type=int, default=4, help='pairs of each world')
    parser.add_argument('--seed', type=int, default=1_000_000, help='of the first world')
    arguments = parser.parse_args()
    errors, sigmas, seconds, refused = [], [], [], 0
    for scene in SCENES:
        for seed in range(arguments.seed, arguments.seed + arguments.worlds):
            simulator = Simulator(SimConfig(scene=scene, seed=seed))
            rig, rng = simulator.rig, np.random.default_rng([seed, 1])
            camera = estimated_camera(rig.rgb.fx, rig.rgb.width, rig.rgb.height)
            match = FocalMatch((rig.thermal.width, rig.thermal.height))
            told: dict[str, object] = {'scene': scene, 'seed': seed}
            for _ in range(4 * arguments.pairs):
                frame = simulator.training_pair(rng, rig.rgb)
                begin = time.process_time()
                pose = np.linalg.inv(rig.rgb_from_thermal)
                # as the node does: a pair that cannot be used is followed by another one
                with contextlib.suppress(CalibrationError):
                    match.add(camera, pose, frame.rgb_depth, frame.rgb, frame.thermal)
                    seconds.append(time.process_time() - begin)
                if match.pairs == arguments.pairs:
                    break
            try:
                found = match.result()
                error = math.log(found.focal / rig.thermal.fx)
                errors.append(error)
                sigmas.append(found.sigma)
                told.update(log_error=round(error, 4), sigma=round(found.sigma, 3))
            except CalibrationError as err:
                refused += 1
                told['refused'] = str(err)
            print(json.dumps(told), flush=True)
    summary = {
        'worlds': len(errors) + refused,
        'refused': refused,
        'median_abs_log_error': round(float(np.median(np.abs(errors))), 4),
        'worst_abs_log_error': round(float(np.max(np.abs(errors))), 4),
        'mean_log_error': round(float(np.mean(errors)), 4),
        'median_sigma': round(float(np.median(sigmas)), 3),
        'cpu_seconds_per_pair': round(float(np.median(seconds)), 3),
    }
    print(json.dumps(summary))


if __name__ == '__main__':
    main()
