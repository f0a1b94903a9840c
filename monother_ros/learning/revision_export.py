# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Comparing revisions, and taking one out of its store as a model of its own."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from monother_ros.core.bundle import Bundle, load_bundle, write_bundle
from monother_ros.core.errors import AdaptationError, BundleError, EngineError
from monother_ros.core.initialisers import current_values, replaced_values
from monother_ros.engines.base import EngineOptions
from monother_ros.engines.check import CHECK, check_engine, read_check
from monother_ros.engines.onnxruntime import OnnxRuntimeEngine
from monother_ros.learning.revision_content import WEIGHTS, expected_frames
from monother_ros.learning.revision_files import link_or_copy

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAME = 1e-4
"""Largest mean relative difference of depth between a revision and what is exported of it; stored
frames are rounded to float16, which is 2e-4 of a value on average at most."""


class LayerChange(NamedTuple):
    """
    How much a layer changed.

    :param layer: name without the last part (weight, bias).
    :param relative: norm of the change divided by the norm of the first one's values; inf where
        these are all 0.
    :param largest: largest absolute change of a value.
    :param values: how many values it has.
    """

    layer: str
    relative: float
    largest: float
    values: int


def layer_changes(first: Bundle, second: Bundle) -> list[LayerChange]:
    """
    Compare the weights of two bundles with weights beside their graphs.

    :param first: compared with.
    :param second: of the same network.
    :returns: layers that differ, the largest relative change first.
    :raises AdaptationError: they are not of one network.
    :raises BundleError: one is damaged, or has its weights inside of its graph.
    """
    before, after = current_values(first), current_values(second)
    layout = {name: value.shape for name, value in before.items()}
    if layout != {name: value.shape for name, value in after.items()}:
        msg = f'{first.revision} and {second.revision} are different networks'
        raise AdaptationError(msg)
    sums: dict[str, list[float]] = {}
    for name, old in before.items():
        a = np.asarray(old, np.float64)
        d = np.asarray(after[name], np.float64) - a
        item = sums.setdefault(name.rpartition('.')[0] or name, [0.0, 0.0, 0.0, 0])
        item[0] += float((d * d).sum())
        item[1] += float((a * a).sum())
        item[2] = max(item[2], float(np.abs(d).max(initial=0.0)))
        item[3] += d.size
    changed = [
        LayerChange(layer, (moved / size) ** 0.5 if size else float('inf'), largest, int(count))
        for layer, (moved, size, largest, count) in sums.items()
        if moved > 0
    ]
    return sorted(changed, key=lambda item: -item.relative)


def export_revision(revision: Bundle, target: Path, threads: int = 0) -> Bundle:
    """
    Write a revision as a bundle that needs no store: weights inside of the graph.

    :param revision: of a store.
    :param target: folder that does not exist yet.
    :param threads: of the engine that compares both.
    :returns: the bundle.
    :raises AdaptationError: the target exists, the package onnx is missing, the disk is full, or
        the result does not compute what the revision computes.
    """
    if target.exists():
        msg = f'{target} exists; name a folder that does not'
        raise AdaptationError(msg)
    if revision.external is None:
        msg = f'{revision.path} needs no export: its weights are inside of its graph'
        raise AdaptationError(msg)
    try:
        from monother_ros.networks.external_data import embed
    except ImportError as err:
        msg = f"the export needs {err.name}; pip install 'monother_ros[train]'"
        raise AdaptationError(msg) from err
    options = EngineOptions(threads=threads, warmup=False)
    training = {key: value for key, value in revision.training.items() if key != 'lineage'}
    training['learned_from'] = {
        'base': training.pop('base', None),
        'lineage': revision.training.get('lineage', []),
    }
    plan = dataclasses.replace(revision, external=None)
    frames = read_check(revision)
    inputs: list[NDArray[Any]] | None = [item.inputs for item in frames] or None
    expected = expected_frames(revision, inputs, options)

    def compare(path: Path) -> None:
        with OnnxRuntimeEngine(dataclasses.replace(plan, path=path.parent), options) as engine:
            difference = check_engine(engine, expected)
        if not difference <= SAME:
            msg = f'the export differs from {revision.revision} by {difference:.2g} (relative)'
            raise AdaptationError(msg)
        link_or_copy(revision.path / CHECK, path, revision.files[CHECK], link=False)

    extra: dict[str, Any] = {}
    if WEIGHTS in revision.files:
        extra[WEIGHTS] = lambda path: link_or_copy(
            revision.path / WEIGHTS, path, revision.files[WEIGHTS], link=False
        )
    try:
        write_bundle(
            target,
            model=embed(
                revision.model_path,
                revision.path / revision.external.data,
                replaced_values(revision),
            ),
            name=revision.name,
            revision=revision.revision,
            inputs=revision.inputs,
            normalisation=revision.normalisation,
            depth_range=revision.depth_range,
            outputs=revision.outputs,
            parent=revision.parent,
            modality=revision.modality,
            focal_length=revision.focal_length,
            training=training,
            metrics=revision.metrics,
            extra_files={**extra, CHECK: compare},
        )
        return load_bundle(target)
    except (OSError, BundleError, EngineError) as err:
        msg = f'{revision.revision} could not be exported to {target}: {err}'
        raise AdaptationError(msg) from err
