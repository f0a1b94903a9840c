# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Model bundles: a folder that holds one revision of a network and all that is needed to run it.

``model.onnx`` is the network, ``model.json`` the manifest: name, revision, inputs, normalisation,
depth range, outputs, how it was trained, metrics, and the sha256 of every other file. Weights lie
inside of the graph, or beside it (:mod:`monother_ros.core.initialisers`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeAlias

from monother_ros.core.errors import BundleError
from monother_ros.core.files import atomic_folder, sha256_file
from monother_ros.core.initialisers import External, check_external
from monother_ros.core.manifest import Reader
from monother_ros.core.models import find_bundle
from monother_ros.core.parsing import parse_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = [
    'FORMAT',
    'MANIFEST',
    'MODEL',
    'Bundle',
    'External',
    'Normalisation',
    'TensorSpec',
    'find_bundle',
    'load_bundle',
    'write_bundle',
]

FORMAT = 3
"""Newest manifest format that this version reads. Each bundle is written in the oldest format that
says all of it: 3 with weights beside the graph, 2 with another way to resize, else 1."""

MANIFEST = 'model.json'
MODEL = 'model.onnx'
METHODS = ('percentile', 'fixed', 'stable_percentile')
MODALITIES = ('thermal', 'rgb', 'thermal+rgb')
OUTPUTS = ('depth', 'confidence')
RESIZES = ('area', 'aligned')

Content: TypeAlias = 'bytes | Callable[[Path], None]'
"""Content of a file, or what writes it to the path that it is given (large networks)."""


@dataclass(frozen=True)
class TensorSpec:
    """
    One input tensor of a network.

    :param name: name in the ONNX graph.
    :param shape: static shape, (1, C, H, W).
    :param dtype: numpy name of the element type.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = 'float32'


@dataclass(frozen=True)
class Normalisation:
    """
    How raw counts become network input.

    They are scaled to [0, 1] and clipped, resized, then (v - mean) / std.

    :param method: 'percentile' (bounds from each frame), 'fixed' (bounds are counts), or
        'stable_percentile' (bounds of each frame, smoothed over time).
    :param low: lower percentile 0..100, or raw counts for 'fixed'.
    :param high: upper percentile 0..100, or raw counts for 'fixed'.
    :param mean: subtracted after scaling.
    :param std: divided by after scaling, > 0.
    :param channels: how often the one thermal channel is repeated, 1 or 3.
    :param time_constant: smoothing of the bounds of 'stable_percentile' in seconds, >= 0.
    :param resize: how image and network size are brought together. 'area': areas are averaged when
        the input shrinks, else bilinear, with the edges of the image aligned. 'aligned': bilinear
        with the centres of the corner pixels aligned, for the input and for the outputs.
    """

    method: str
    low: float
    high: float
    mean: float = 0.0
    std: float = 1.0
    channels: int = 1
    time_constant: float = 1.0
    resize: str = 'area'


@dataclass(frozen=True)
class Bundle:
    """
    A model bundle whose manifest has been read and whose files have been checked.

    :param path: folder of the bundle.
    :param name: name of the model, e.g. 'lite'.
    :param revision: name of this state of the weights.
    :param parent: revision that this one was trained from; None for a first one.
    :param modality: 'thermal', 'rgb' or 'thermal+rgb'.
    :param inputs: network inputs.
    :param outputs: tensor name of 'depth' (metres) and, where there is one, 'confidence' [0, 1].
    :param normalisation: how raw counts become network input.
    :param depth_range: nearest and farthest depth that the network can say, metres.
    :param focal_length: focal length in pixels at network width at which metric scale was
        learned; None means that depth is not corrected for the camera.
    :param training: how it was trained, for people.
    :param metrics: what it reached, for people.
    :param files: sha256 of every file by its path inside of the folder.
    :param digest: sha256 of the manifest, and so of everything in the bundle.
    :param external: files of the weights where they lie beside the graph; None where inside.
    """

    path: Path
    name: str
    revision: str
    parent: str | None
    modality: str
    inputs: tuple[TensorSpec, ...]
    outputs: dict[str, str]
    normalisation: Normalisation
    depth_range: tuple[float, float]
    focal_length: float | None
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    digest: str = ''
    external: External | None = None

    @property
    def model_path(self) -> Path:
        """Path of the ONNX file."""
        return self.path / MODEL

    @property
    def input_size(self) -> tuple[int, int]:
        """Width and height of the first input in pixels."""
        return self.inputs[0].shape[3], self.inputs[0].shape[2]


def load_bundle(path: str | Path, *, verify: bool = True) -> Bundle:
    """
    Read a model bundle and check every file in it.

    :param path: folder of the bundle.
    :param verify: compare the sha256 of every file; only tests and listings switch it off.
    :raises BundleError: the folder or the manifest is missing, damaged, of a newer format, or a
        file is missing, changed or outside of the folder. Each defect has its own sentence.
    """
    folder = Path(path)
    if not folder.exists():
        msg = f'there is no model bundle at {folder}; give a folder that holds {MANIFEST}'
        raise BundleError(msg)
    if not folder.is_dir():
        msg = f'{folder} is a file; a model bundle is a folder that holds {MANIFEST}'
        raise BundleError(msg)
    manifest = folder / MANIFEST
    if not manifest.is_file():
        msg = f'{folder} holds no {MANIFEST}, so it is not a model bundle'
        raise BundleError(msg)
    try:
        text = manifest.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as err:
        msg = f'{manifest} cannot be read as UTF-8 text: {err}; copy the bundle again'
        raise BundleError(msg) from err
    try:
        data = parse_json(text)
    except ValueError as err:
        msg = f'{manifest} is not valid JSON ({err}); copy the bundle again'
        raise BundleError(msg) from err
    bundle = _parse(folder, data, str(manifest))
    for name, digest in bundle.files.items():
        _check_file(folder, name, digest if verify else None)
    if bundle.external is not None:
        check_external(folder, bundle.external)
    return bundle


def write_bundle(
    path: str | Path,
    *,
    model: Content,
    name: str,
    revision: str,
    inputs: Sequence[TensorSpec],
    normalisation: Normalisation,
    depth_range: tuple[float, float],
    outputs: Mapping[str, str] | None = None,
    parent: str | None = None,
    modality: str = 'thermal',
    focal_length: float | None = None,
    training: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    extra_files: Mapping[str, Content] | None = None,
    external: External | None = None,
) -> Bundle:
    """
    Write a model bundle whole or not at all; an existing one at the same place is replaced.

    :param path: target folder.
    :param model: content of model.onnx, or what writes it.
    :param extra_files: further files by their path inside of the folder, e.g. weights.safetensors;
        written in their order, after model.onnx.
    :param external: files among them that hold the weights, where model.onnx does not.
    :returns: the bundle, read back and checked. For the other parameters see :class:`Bundle`.
    :raises BundleError: a value would not be accepted by :func:`load_bundle`.
    """
    contents = {MODEL: model, **(extra_files or {})}
    folder = Path(path)
    data: dict[str, Any] = {
        'format': 3 if external else 1 if normalisation.resize == Normalisation.resize else 2,
        'name': name,
        'revision': revision,
        'parent': parent,
        'modality': modality,
        'inputs': [asdict(spec) for spec in inputs],
        'outputs': dict(outputs or {key: key for key in OUTPUTS}),
        'normalisation': _written(normalisation),
        'depth_range': list(depth_range),
        'focal_length': focal_length,
        'training': dict(training or {}),
        'metrics': dict(metrics or {}),
        'files': dict.fromkeys(contents, '0' * 64),
    }
    if external is not None:
        data['external'] = asdict(external)
    # a value that is refused is refused before anything is written
    _text(data, folder)
    with atomic_folder(folder) as work:
        for key, value in contents.items():
            target = work / key
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(value, bytes):
                target.write_bytes(value)
            else:
                value(target)
            data['files'][key] = sha256_file(target)
        (work / MANIFEST).write_text(_text(data, folder), encoding='utf-8')
    return load_bundle(folder)


def _written(normalisation: Normalisation) -> dict[str, Any]:
    """Fields of a normalisation for the manifest; `resize` only where it is not the usual one."""
    fields = asdict(normalisation)
    if normalisation.resize == Normalisation.resize:
        del fields['resize']
    return fields


def _text(data: Mapping[str, Any], folder: Path) -> str:
    """
    Manifest as JSON.

    :raises BundleError: a value would not be accepted by :func:`load_bundle`.
    """
    try:
        # what is checked is what a reader will see: tuples become lists, NaN is refused
        text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + '\n'
    except (TypeError, ValueError) as err:
        msg = f'the bundle {data["name"]} cannot be described in JSON: {err}'
        raise BundleError(msg) from err
    _parse(folder, json.loads(text), f'the manifest to be written to {folder}')
    return text


def _parse(folder: Path, data: object, where: str) -> Bundle:
    """Check every field of a manifest and build the bundle."""
    top = Reader(data, where)
    version = top.integer('format')
    if version > FORMAT:
        msg = (
            f'{where} is of format {version}, this version of monother_ros reads up to {FORMAT}; '
            'update monother_ros or take an older bundle'
        )
        raise BundleError(msg)
    if version < 1:
        msg = f'{where}: format {version} never existed; the manifest is damaged'
        raise BundleError(msg)
    inputs = tuple(_tensor(item) for item in top.objects('inputs'))
    outputs = {key: str(value) for key, value in top.mapping('outputs', str).items()}
    if 'depth' not in outputs:
        msg = f"{where}: outputs names no 'depth' tensor"
        raise BundleError(msg)
    normalisation = _normalisation(top.object('normalisation'))
    if inputs[0].shape[1] != normalisation.channels:
        msg = (
            f'{where}: normalisation.channels is {normalisation.channels}, but input '
            f'{inputs[0].name!r} has {inputs[0].shape[1]} channels'
        )
        raise BundleError(msg)
    near, far = top.numbers('depth_range', 2)
    if not 0 < near < far:
        msg = f'{where}: depth_range [{near}, {far}] must be 0 < nearest < farthest, in metres'
        raise BundleError(msg)
    files = {key: str(value) for key, value in top.mapping('files', str).items()}
    if MODEL not in files:
        msg = f'{where}: files does not list {MODEL}'
        raise BundleError(msg)
    for key, digest in files.items():
        if len(digest) != 64 or set(digest) - set('0123456789abcdef'):
            msg = f'{where}: files[{key!r}] is not a sha256 in 64 lower-case hexadecimal digits'
            raise BundleError(msg)
        if not _inside(key):
            msg = f'{where}: the file {key!r} lies outside of the bundle; bundles hold their own'
            raise BundleError(msg)
    external = _external(top, files) if version >= 3 else None
    canonical = json.dumps(data, sort_keys=True, separators=(',', ':'))
    return Bundle(
        path=folder,
        name=top.identifier('name'),
        revision=top.identifier('revision'),
        parent=top.optional_text('parent'),
        modality=top.choice('modality', MODALITIES),
        inputs=inputs,
        outputs=outputs,
        normalisation=normalisation,
        depth_range=(near, far),
        focal_length=top.optional_positive('focal_length'),
        training=top.mapping('training'),
        metrics=top.mapping('metrics'),
        files=files,
        digest=hashlib.sha256(canonical.encode()).hexdigest(),
        external=external,
    )


def _tensor(item: Reader) -> TensorSpec:
    """Check one entry of inputs."""
    shape = item.integers('shape')
    if len(shape) != 4 or shape[0] != 1 or min(shape) < 1:
        msg = f'{item.where}: shape {list(shape)} must be [1, channels, height, width]'
        raise BundleError(msg)
    return TensorSpec(item.text('name'), shape, item.choice('dtype', ('float32', 'float16')))


def _normalisation(item: Reader) -> Normalisation:
    """Check the normalisation and its numbers."""
    spec = Normalisation(
        method=item.choice('method', METHODS),
        low=item.number('low'),
        high=item.number('high'),
        mean=item.number('mean', 0.0),
        std=item.number('std', 1.0),
        channels=item.integer('channels', 1),
        time_constant=item.number('time_constant', 1.0),
        resize=item.choice('resize', RESIZES, Normalisation.resize),
    )
    if spec.low >= spec.high:
        msg = f'{item.where}: low {spec.low} must be below high {spec.high}'
        raise BundleError(msg)
    if spec.method != 'fixed' and not (spec.low >= 0 and spec.high <= 100):
        msg = f'{item.where}: percentiles {spec.low} and {spec.high} must be within 0..100'
        raise BundleError(msg)
    if spec.std <= 0 or spec.time_constant < 0:
        msg = f'{item.where}: std must be > 0 and time_constant >= 0'
        raise BundleError(msg)
    if spec.channels not in (1, 3):
        msg = f'{item.where}: channels is {spec.channels}; thermal is repeated 1 or 3 times'
        raise BundleError(msg)
    return spec


def _external(top: Reader, files: Mapping[str, str]) -> External | None:
    """Check the names of the files of weights that lie beside the graph."""
    if not top.has('external'):
        return None
    item = top.object('external')
    external = External(item.text('data'), item.optional_text('replaced'))
    for name in (external.data, external.replaced):
        if name is not None and name not in files:
            msg = f'{item.where} names {name}, which files does not list'
            raise BundleError(msg)
    return external


def _inside(name: str) -> bool:
    """Whether a relative path stays in its folder on every system."""
    path = PurePosixPath(name)
    return bool(name) and not (
        path.is_absolute() or '..' in path.parts or '\\' in name or ':' in name or '\0' in name
    )


def _check_file(folder: Path, name: str, digest: str | None) -> None:
    """Refuse a file of a bundle that is missing, elsewhere or changed."""
    path = folder / name
    if not path.is_file():
        msg = f'{path} is missing, though {MANIFEST} lists it; copy the bundle again'
        raise BundleError(msg)
    # an installation by symbolic links points manifest and files at one other folder
    homes = (folder.resolve(), (folder / MANIFEST).resolve().parent)
    target = path.resolve()
    if not any(home in target.parents for home in homes):
        msg = f'{path} is a link to {target}, outside of the bundle; copy the file itself'
        raise BundleError(msg)
    try:
        found = digest if digest is None else sha256_file(path)
    except OSError as err:
        msg = f'{path} cannot be read: {err}'
        raise BundleError(msg) from err
    if found != digest:
        msg = (
            f'{path} has the sha256 {found}, {MANIFEST} says {digest}: it was changed or damaged; '
            'copy the bundle again'
        )
        raise BundleError(msg)
