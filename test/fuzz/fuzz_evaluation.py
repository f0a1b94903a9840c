# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Damaged files of an evaluation: its journal, its results, and ground truth."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from fuzz_harness import Attempt, CountedError, Entry
from fuzz_messages import image
from fuzz_values import damaged, damaged_json, number

from monother_ros.ros.messages import message_to_array


def results(folder: Path) -> Attempt:
    """evaluation.json, which pages and comparisons are made from."""
    from evaluation_example import example

    from monother_ros.evaluation.evaluate.schema import load_evaluation

    content = example(recordings=1).to_dict()
    # one sample of a series is as good as all
    for item in content['series']:
        item['time'], item['condition'] = item['time'][:3], item['condition'][:3]
        item['values'] = {name: values[:3] for name, values in item['values'].items()}
    path = folder / 'evaluation.json'

    def attempt(rng: np.random.Generator) -> None:
        path.write_bytes(damaged_json(content, rng))
        assert load_evaluation(path).json()

    return attempt


def journal(folder: Path) -> Attempt:
    """Rows of an evaluation that was interrupted; what is damaged is cut off and done again."""
    from monother_ros.evaluation.evaluate.journal import Journal

    columns = ('abs_rel', 'd1')
    made = Journal(folder, 'key', columns)
    made.load()
    for index in range(6):
        if index == 3:
            made.left_out(index, index * 10**8, 'shutter')
        else:
            made.scored(index, index * 10**8, 'day', [0.1 * index, 0.5])
    made.close()
    path = folder / 'key.jsonl'
    good = path.read_bytes()

    def attempt(rng: np.random.Generator) -> None:
        if rng.random() < 0.5:
            lines = good.splitlines(keepends=True)
            hit = int(rng.integers(len(lines)))
            lines[hit] = damaged_json(json.loads(lines[hit]), rng) + b'\n'
            path.write_bytes(b''.join(lines))
        else:
            path.write_bytes(damaged(good, rng))
        again = Journal(folder, 'key', columns)
        try:
            progress = again.load()
        finally:
            again.close()
        assert progress.rows.matrix().shape == (len(progress.rows), len(columns))
        if progress.frames < 6:
            raise CountedError('cut off')

    return attempt


def truth(folder: Path) -> Attempt:
    """Depth image in a folder of ground truth."""
    from monother_ros.evaluation.evaluate.truth import read_depth

    depth = np.linspace(1, 60, 12 * 16, dtype=np.float32).reshape(12, 16)
    array = io.BytesIO()
    np.save(array, depth)
    goods = {
        'depth.npy': array.getvalue(),
        'depth.png': bytes(cv2.imencode('.png', (256 * depth).astype(np.uint16))[1]),
        'depth.tiff': bytes(cv2.imencode('.tiff', depth)[1]),
    }

    def attempt(rng: np.random.Generator) -> None:
        name = sorted(goods)[rng.integers(len(goods))]
        (folder / name).write_bytes(damaged(goods[name], rng))
        found = read_depth(folder / name, 256.0)
        assert found.ndim == 2 and found.dtype == np.float32

    return attempt


def scored_pair(_folder: Path) -> Attempt:
    """Depth and ground truth of the metrics node; a bad pair must not spoil the means."""
    from monother_ros.evaluation.depth_images import fit, metres
    from monother_ros.evaluation.running import RunningMetrics

    encodings = ('32FC1', '16UC1', '64FC1', 'mono16', 'mono8', 'rgb8', '32FC2')
    good = np.full((8, 8), 10, np.float32)

    def plane(rng: np.random.Generator) -> Any:
        draw = rng.random()
        if draw < 0.5:
            return metres(message_to_array(image(rng, encodings)))
        if draw < 0.75:
            return rng.integers(0, 2**32, (8, 8), np.uint32).view(np.float32)
        edges = np.array([number(rng) for _ in range(64)]).reshape(8, 8)
        return edges.astype(np.float32)

    def attempt(rng: np.random.Generator) -> None:
        metrics = RunningMetrics()
        metrics.add(good, 1.1 * good)
        truth = plane(rng)
        depth = plane(rng)
        sure = plane(rng) if rng.random() < 0.3 else None
        with np.errstate(all='ignore'):
            try:
                values = metrics.add(depth, fit(truth, depth.shape), sure)
            except ValueError as err:
                # the thread of the metrics node counts it
                assert sure is not None and sure.shape != depth.shape, err
                raise CountedError('confidence of another size') from err
            means = metrics.running()
        assert all(np.isfinite(value) for value in means.values()), means
        if values is None:
            raise CountedError('no pixel has both')

    return attempt


ENTRIES = (
    Entry('scored pair', scored_pair, 500),
    Entry('evaluation results', results, 250),
    Entry('evaluation journal', journal, 400),
    Entry('ground truth file', truth, 400),
)
