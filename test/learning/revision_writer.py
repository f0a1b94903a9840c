# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Writes revisions until it is killed; see test_revision_crash.py.

For each line of its input a process is forked off, whose number is printed; when that has ended,
'ended' is printed. The forks have imported everything already, so that kills meet writing.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from bundles import NEAR, SPAN
from revision_data import brighter

from monother_ros.core.bundle import Bundle, load_bundle
from monother_ros.engines.check import CheckFrame, read_check
from monother_ros.learning.revisions import RevisionStore

FAR = NEAR + SPAN


def work(folder: Path, model: Bundle, seed: int) -> None:
    """Write revisions, put them in use and go back now and then, for ever."""
    rng = np.random.default_rng(seed)
    with RevisionStore(folder, limit=3) as store:
        store.acquire()
        frame = read_check(store.write_base(model))[0]
        while True:
            factor = rng.uniform(0.8, 0.9)
            parent = store.current()
            assert parent is not None
            depth = FAR - np.float32(factor) * (FAR - frame.depth)
            options = {'metrics': {}, 'training': {}, 'check': CheckFrame(frame.inputs, depth)}
            revision = store.write(parent, brighter(factor), weights=bytes(50_000), **options)
            store.use(revision.revision)
            if rng.uniform() < 0.3:
                store.rollback('by chance')


def main() -> None:
    """Fork on demand."""
    folder, model = Path(sys.argv[1]), load_bundle(sys.argv[2])
    import onnx  # noqa: F401
    import onnxruntime  # noqa: F401 imported once, before the forks

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            work(folder, model, int(line))
        print(child, flush=True)
        os.waitpid(child, 0)
        print('ended', flush=True)


if __name__ == '__main__':
    main()
