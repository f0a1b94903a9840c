# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Speed of pairs of a bag: converting it once, and reading its pairs in random order.

    python bench/pairs.py BAG --out pairs.json

BAG is a drive of ``monother sim``. It is converted into an empty folder that is deleted at the
end. Pages of the cache are in memory when they are read, as they are from the second epoch on
where it fits.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path

import numpy as np

from monother_ros.core.files import atomic_write
from monother_ros.learning.bag_pairs import SimulatedBag


def main() -> None:
    """Convert, read, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('bag', type=Path, help='drive of monother sim')
    parser.add_argument('--out', type=Path, required=True, help='JSON file')
    parser.add_argument('--seconds', type=float, default=3.0, help='to read for')
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        start, work = time.perf_counter(), time.process_time()
        pairs = SimulatedBag(words.bag, cache=folder)
        converted, worked = time.perf_counter() - start, time.process_time() - work
        start = time.perf_counter()
        SimulatedBag(words.bag, cache=folder)
        reopened = time.perf_counter() - start
        order = np.random.default_rng(0)
        count = total = 0
        start = time.perf_counter()
        while (elapsed := time.perf_counter() - start) < words.seconds:
            pair = pairs[int(order.integers(len(pairs)))]
            total += pair.thermal.nbytes + pair.rgb.nbytes
            count += 1
        size = sum(file.stat().st_size for file in Path(folder).rglob('*.npy'))
    result = {
        'bag': words.bag.name,
        'pairs': len(pairs),
        'thermal': list(pair.thermal.shape[1:]),
        'rgb_depth': list(pair.rgb_depth.shape[1:]) if pair.rgb_depth is not None else None,
        'convert_s': round(converted, 3),
        'convert_cpu_s': round(worked, 3),
        'convert_pairs_per_s': round(len(pairs) / converted, 1),
        'reopen_ms': round(reopened * 1e3, 2),
        'read_pairs_per_s': round(count / elapsed, 1),
        'cache_mb_per_pair': round(size / len(pairs) / 1e6, 3),
        'python': platform.python_version(),
        'numpy': np.__version__,
        'cores': len(os.sched_getaffinity(0)),
        'load': os.getloadavg()[0],
    }
    atomic_write(words.out, json.dumps(result, indent=2) + '\n')
    print(json.dumps(result, indent=2))


if __name__ == '__main__':
    main()
