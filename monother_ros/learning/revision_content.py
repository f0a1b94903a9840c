# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What goes into a revision, and the check that it passes before it gets its name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from monother_ros.core.bundle import MODEL, Bundle, External, write_bundle
from monother_ros.core.errors import AdaptationError, BundleError, EngineError
from monother_ros.core.initialisers import DATA, INITIALISERS, compare_entries, replaced_values
from monother_ros.core.tensor_file import (
    TensorEntry,
    iterate_tensors,
    read_entries,
    write_tensors,
)
from monother_ros.engines.base import all_inputs
from monother_ros.engines.check import (
    CHECK,
    CheckFrame,
    check_outputs,
    run_frames,
    write_check,
)
from monother_ros.engines.onnxruntime import OnnxRuntimeEngine
from monother_ros.learning.revision_files import (
    link_or_copy,
    number_of,
    plain,
    remove_folder,
    revision_name,
    values_digest,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monother_ros.engines.base import EngineOptions

WEIGHTS = 'weights.safetensors'


@dataclasses.dataclass(frozen=True)
class Draft:
    """
    A revision to be written.

    :param name: of the revision.
    :param parent: what it was made of.
    :param contents: files by their names, as :func:`monother_ros.core.bundle.write_bundle` takes
        them, in the order in which they are written.
    :param external: which of them hold the weights.
    :param origin: the base of the revision: its name and digest.
    """

    name: str
    parent: Bundle
    contents: Mapping[str, Any]
    external: External
    origin: Mapping[str, Any]


def base_name(bundle: Bundle) -> str:
    """
    Name of the base of a model.

    :param bundle: outside of the store.
    """
    return revision_name(bundle.revision, 0, bundle.digest)


def ancestors_of(bundle: Bundle) -> list[str]:
    """
    Names of the revisions that one was trained from.

    :param bundle: of a store.
    :returns: nearest first, the base last.
    """
    found = bundle.training.get('lineage', [])
    return [str(name) for name in found] if isinstance(found, list) else []


def base_draft(bundle: Bundle) -> Draft:
    """
    A model as it came, with its weights beside its graph.

    :param bundle: outside of the store.
    :raises AdaptationError: the package onnx is missing, or it is a revision of another store.
    """
    name = base_name(bundle)
    origin = {'revision': name, 'digest': bundle.digest, 'original': bundle.revision}
    return Draft(name, bundle, _apart(bundle), External(DATA), origin)


def new_draft(
    parent: Bundle, number: int, initialisers: Mapping[str, NDArray[Any]], weights: bytes | None
) -> Draft:
    """
    A revision with new weights.

    :param parent: revision of the same store.
    :param number: of the new one.
    :param initialisers: new values by name.
    :param weights: content of weights.safetensors; None for none.
    :raises AdaptationError: a value does not fit or is not finite, or nothing changes.
    """
    try:
        values = _new_values(parent, initialisers)
    except BundleError as err:
        msg = f'the weights do not belong to {parent.revision}: {err}'
        raise AdaptationError(msg) from err
    contents: dict[str, Any] = {
        MODEL: _linked(parent, MODEL),
        DATA: _linked(parent, DATA),
        INITIALISERS: lambda target: write_tensors(target, values),
    }
    if weights is not None:
        contents[WEIGHTS] = weights
    name = revision_name(parent.revision, number, values_digest(values))
    return Draft(
        name, parent, contents, External(DATA, INITIALISERS), parent.training.get('base', {})
    )


def write_draft(
    folder: Path,
    draft: Draft,
    frames: Sequence[CheckFrame],
    options: EngineOptions,
    *,
    metrics: Mapping[str, Any],
    training: Mapping[str, Any],
) -> Bundle:
    """
    Write a revision, run it on its stored frames and give it its name.

    :param folder: of the store.
    :param draft: what to write.
    :param frames: stored frames with what the network must say about them.
    :param options: of the engine.
    :param metrics: for the manifest.
    :param training: for the manifest.
    :returns: the revision, read back and checked.
    :raises AdaptationError: it does not compute what it should, or the disk is full; nothing of
        it is left.
    """
    parent = draft.parent
    learned = number_of(draft.name) != 0
    told = {
        **training,
        'base': dict(draft.origin),
        'lineage': [parent.revision, *ancestors_of(parent)] if learned else [],
        'written': datetime.now(timezone.utc).isoformat(timespec='seconds'),
    }
    plan = dataclasses.replace(parent, revision=draft.name, external=draft.external)

    def run(target: Path) -> None:
        # the last file: all others are in the folder by now
        inside = dataclasses.replace(plan, path=target.parent)
        with OnnxRuntimeEngine(inside, options) as engine:
            _, said = run_frames(engine, frames)
        write_check(target, said)

    contents = dict(draft.contents)
    try:
        return write_bundle(
            folder / draft.name,
            model=contents.pop(MODEL),
            name=parent.name,
            revision=draft.name,
            inputs=parent.inputs,
            normalisation=parent.normalisation,
            depth_range=parent.depth_range,
            outputs=parent.outputs,
            parent=parent.revision,
            modality=parent.modality,
            focal_length=parent.focal_length,
            training=plain(told),
            metrics=plain(dict(metrics)),
            extra_files={**contents, CHECK: run},
            external=draft.external,
        )
    except OSError as err:
        msg = f'revision {draft.name} could not be written: {err}; nothing of it is left'
        raise AdaptationError(msg) from err
    except (BundleError, EngineError) as err:
        if (folder / draft.name).exists():
            remove_folder(folder / draft.name)  # the disk gave back other bytes than it was given
        msg = f'revision {draft.name} was refused: {err}'
        raise AdaptationError(msg) from err


def expected_frames(
    bundle: Bundle, inputs: Sequence[NDArray[Any]] | None, options: EngineOptions
) -> list[CheckFrame]:
    """
    What a model outside of the store says about some inputs.

    :param bundle: the model.
    :param inputs: (1, C, h, w) each; None for a made-up picture.
    :param options: of the engine.
    :raises AdaptationError: it cannot be run, or says nothing plausible.
    """
    try:
        with OnnxRuntimeEngine(bundle, options) as engine:
            given = inputs or [_made_input(bundle)]
            return [said_by(engine, np.asarray(item, np.float32)) for item in given]
    except EngineError as err:
        msg = f'{bundle.name} {bundle.revision} cannot be the base of revisions: {err}'
        raise AdaptationError(msg) from err


def _made_input(bundle: Bundle) -> NDArray[np.float32]:
    """Smooth picture with some detail, in [0, 1] and then normalised as the network's input is."""
    _, channels, height, width = bundle.inputs[0].shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    y, x = y / height, x / width
    waves = np.sin(7 * x + 2 * y) + np.cos(11 * y - 3 * x) * 0.7 + 0.3 * np.sin(60 * x * y)
    picture = (waves / 2 + 1) / 2
    normalised = (picture - bundle.normalisation.mean) / bundle.normalisation.std
    return np.repeat(normalised[None, None].astype(np.float32), channels, axis=1)


def said_by(engine: OnnxRuntimeEngine, inputs: NDArray[Any]) -> CheckFrame:
    """
    What an engine says about an input.

    :param engine: of any bundle.
    :param inputs: (1, C, h, w).
    :raises EngineError: what it says is not plausible.
    """
    outputs = engine.infer(all_inputs(engine.bundle, inputs))
    check_outputs(engine.bundle, outputs, f'revision {engine.bundle.revision}')
    return CheckFrame(inputs, outputs['depth'], outputs.get('confidence'))


def _linked(source: Bundle, name: str) -> Any:
    """What gives a file of another revision a second name."""
    return lambda target: link_or_copy(source.path / name, target, source.files[name])


def _apart(bundle: Bundle) -> dict[str, Any]:
    """Contents of a base: graph and weights apart, and the weights to train on from."""
    contents: dict[str, Any]
    if bundle.external is None:
        try:
            from monother_ros.networks.external_data import externalise
        except ImportError as err:
            msg = f"revisions need {err.name}; pip install 'monother_ros[train]'"
            raise AdaptationError(msg) from err

        def divide(target: Path) -> None:
            externalise(bundle.model_path, target, target.parent / DATA)

        # the graph's writer makes both files; the second one only has to be there
        contents = {MODEL: divide, DATA: lambda target: None}
    else:
        if bundle.external != External(DATA):
            msg = f'{bundle.path} is a revision of another store; export it first'
            raise AdaptationError(msg)
        contents = {MODEL: _linked(bundle, MODEL), DATA: _linked(bundle, DATA)}
    if WEIGHTS in bundle.files:
        # a copy: whoever edits the model's own file in place must not change the base
        contents[WEIGHTS] = lambda target: link_or_copy(
            bundle.path / WEIGHTS, target, bundle.files[WEIGHTS], link=False
        )
    return contents


def _new_values(source: Bundle, given: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """
    Values that a revision holds: those of its parent, the new ones, less what is as it came.

    :raises AdaptationError: a value is not finite, or nothing changes.
    :raises BundleError: a name, shape or type is not that of the network.
    """
    assert source.external is not None
    data = source.path / source.external.data
    known = read_entries(data)
    shapes = {k: TensorEntry(v.dtype.name, v.shape, 0, v.nbytes) for k, v in given.items()}
    compare_entries(shapes, known, 'the new set of weights')
    for name, value in given.items():
        if not np.isfinite(value).all():
            msg = f'the new weights of {name} are not finite; a revision was not written'
            raise AdaptationError(msg)
    values = {**replaced_values(source), **given}
    same = [
        name
        for name, original in iterate_tensors(data, list(values))
        if np.array_equal(values[name], original)
    ]
    for name in same:
        del values[name]
    if not values:
        msg = f'the new weights are those of {source.revision}; a revision was not written'
        raise AdaptationError(msg)
    return values
