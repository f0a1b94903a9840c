# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import numpy as np
import pytest

from monother_ros.learning.rendered import PERCENTILES


@pytest.fixture(scope='session')
def small_dataset(tmp_path_factory):
    """Two shards in the layout of render_dataset: a warm ground plane under a cold sky."""
    pytest.importorskip('torch', reason='torch is not installed')
    folder = tmp_path_factory.mktemp('dataset')
    rng = np.random.default_rng(5)
    rows = np.arange(64, dtype=np.float32)[:, None]
    for shard in range(2):
        thermal, depth = [], []
        for _ in range(6):
            horizon = rng.uniform(15, 30)
            below = np.maximum(rows - horizon, 0.0) + np.zeros((1, 128), np.float32)
            with np.errstate(divide='ignore'):
                metres = 1.2 * 104 / below
            metres[metres > 70] = np.inf
            counts = np.where(np.isinf(metres), 2000, 3000 + 600 / np.maximum(metres, 1))
            thermal.append((counts + rng.normal(0, 8, counts.shape)).astype(np.uint16))
            depth.append(metres.astype(np.float16))
        target = folder / f'shard-{shard:04d}'
        target.mkdir()
        np.save(target / 'thermal.npy', np.stack(thermal))
        np.save(target / 'depth.npy', np.stack(depth))
        bounds = [np.percentile(t, PERCENTILES) for t in thermal]
        np.save(target / 'bounds.npy', np.asarray(bounds, np.float32))
        np.save(target / 'focal.npy', np.full(6, 260, np.float32))
        worlds = [{'seed': shard, 'scene': 'street', 'time_of_day': 'day', 'weather': 'clear'}]
        (target / 'worlds.json').write_text(json.dumps(worlds * 6))
    return folder


@pytest.fixture
def frames(small_dataset):
    from monother_ros.learning.rendered import Frames

    return Frames(small_dataset)


@pytest.fixture
def one_thread():
    """Torch computes in one thread, so that sums come out alike."""
    torch = pytest.importorskip('torch', reason='torch is not installed')
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# a store of revisions of a tiny model


@pytest.fixture
def model(tmp_path):
    from revision_data import tiny

    return tiny(tmp_path / 'models' / 'tiny')


@pytest.fixture
def store(tmp_path):
    from monother_ros.learning.revisions import RevisionStore

    with RevisionStore(tmp_path / 'store', limit=4) as store:
        yield store


@pytest.fixture
def base(store, model):
    from revision_data import picture

    return store.write_base(model, [picture(model)])


@pytest.fixture
def three(store, base, model):
    """Three revisions, each trained from the one before; the newest is in use."""
    from revision_data import brighter, write

    found = []
    parent = base
    for k in range(3):
        parent = write(store, parent, brighter(0.9 - 0.1 * k), model)
        store.use(parent.revision)
        found.append(parent)
    return found
