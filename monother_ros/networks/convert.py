# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a checkpoint of the dual network to a model bundle that the depth node runs."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray

from monother_ros.core.bundle import MANIFEST, Bundle, TensorSpec, write_bundle
from monother_ros.core.errors import BundleError
from monother_ros.core.files import sha256_file
from monother_ros.core.manifest import IDENTIFIER
from monother_ros.networks.agreement import (
    differences,
    reference,
    require_close,
    run_onnx,
    verdict,
)
from monother_ros.networks.checkpoint import (
    CONFIG_KEY,
    CheckpointReport,
    compare_state,
    load_branch,
    official_tensors,
    read_checkpoint,
)
from monother_ros.networks.deploy import (
    PRECISIONS,
    DeployedBranch,
    check_size,
    initialiser_name,
)
from monother_ros.networks.monother import DepthBranch, MonoTherConfig
from monother_ros.networks.names import official_state
from monother_ros.networks.onnx_export import check_graph, to_onnx
from monother_ros.networks.pictures import NORMALISATION, branch_input, network_input

OUTPUTS = ('depth', 'confidence')
WEIGHTS = 'weights.safetensors'


@dataclass(frozen=True)
class ConvertSettings:
    """
    What to make of a checkpoint.

    :param branch: 'thermal' or 'rgb'.
    :param size: (h, w) of the network's input in pixels, multiples of 14.
    :param precision: 'fp32' or 'fp16'.
    :param focal_length: in pixels at the network's width, at which metric scale was learned; None
        for no correction by focal length.
    :param name: of the bundle; None takes the name of its folder.
    :param weights: whether the bundle carries the branch's weights, to train on from.
    """

    branch: str = 'thermal'
    size: tuple[int, int] = (252, 644)
    precision: str = 'fp32'
    focal_length: float | None = None
    name: str | None = None
    weights: bool = True


@dataclass
class Conversion:
    """
    What came of it.

    :param bundle: written and read back.
    :param report: how the whole file differs from the official layout.
    :param figures: everything measured, for JSON.
    """

    bundle: Bundle
    report: CheckpointReport
    figures: dict[str, Any] = field(default_factory=dict)


Say = Callable[[str], None]


def convert(
    checkpoint: str | Path,
    target: str | Path,
    picture: NDArray[Any],
    source: str,
    settings: ConvertSettings | None = None,
    say: Say = print,
) -> Conversion:
    """
    Convert one branch: read, compare with the official layout, export, check, write the bundle.

    The bundle appears whole or not at all. The largest part of the memory is three copies of the
    branch's weights.

    :param checkpoint: the authors' file, or safetensors under the same names.
    :param target: folder of the bundle; an existing bundle is replaced, nothing else.
    :param picture: (H, W) uint8 or uint16 thermal counts, or (H, W, 3) uint8 RGB, red first, on
        which ONNX Runtime is compared with torch.
    :param source: where the picture is from, in words.
    :param settings: what to make.
    :param say: takes a line for people before and after each step.
    :returns: the bundle and what was measured.
    :raises BundleError: no checkpoint, the branch is incomplete, a size that does not fit, not
        enough disk, a target that is something else than a bundle, or ONNX Runtime and torch
        differ by more than the tolerance.
    :raises ThermalError: the picture is no thermal picture.
    """
    settings = settings or ConvertSettings()
    check_size(settings.size)
    if settings.precision not in PRECISIONS:
        msg = f'precision {settings.precision!r} must be one of {", ".join(PRECISIONS)}'
        raise BundleError(msg)
    folder = Path(target).absolute()
    name = _name(folder, settings.name)
    steps = _Steps(say)
    example = network_input(picture, settings.branch, settings.size)
    with steps('read the checkpoint'):
        branch, report, notes = _load(Path(checkpoint), settings.branch)
    say(_summary(branch, notes, report))
    _check_disk(folder, branch, settings)
    with steps('run torch'), torch.inference_mode():
        expected, torch_seconds = reference(branch, branch_input(example, settings.branch))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f'.{folder.name}.', dir=folder.parent) as place:
        files = {'model.onnx': Path(place) / 'model.onnx'}
        if settings.weights:
            files[WEIGHTS] = Path(place) / WEIGHTS
            with steps('write the weights'):
                _save_weights(branch, settings.branch, files[WEIGHTS])
        with steps('export to ONNX'):
            _export(branch, example, settings, files['model.onnx'])
        del branch
        with steps('check the graph'):
            check_graph(files['model.onnx'])
        with steps('run ONNX Runtime'):
            found, onnx_seconds = run_onnx(files['model.onnx'], settings.branch, example)
        difference = differences(found, expected)
        say(verdict(difference, settings.precision, source))
        require_close(difference, settings.precision)
        latency = {'torch': torch_seconds, 'onnxruntime': onnx_seconds}
        with steps('write the bundle'):
            bundle = write_bundle(
                folder,
                model=_move(files['model.onnx']),
                extra_files={k: _move(v) for k, v in files.items() if k != 'model.onnx'},
                name=name,
                revision=_revision(notes['sha256'], settings),
                modality=settings.branch,
                inputs=[TensorSpec(settings.branch, tuple(example.shape))],
                outputs={key: key for key in OUTPUTS},
                normalisation=NORMALISATION[settings.branch],
                depth_range=(notes['network']['near'], notes['network']['far']),
                focal_length=settings.focal_length,
                training={'method': 'converted from a checkpoint', **notes},
                metrics={'onnxruntime against torch': {'picture': source, **difference}},
            )
    figures = {
        **notes,
        'size': list(settings.size),
        'precision': settings.precision,
        'picture': source,
        'seconds': steps.seconds,
        'seconds in all': round(steps.total, 2),
        'peak memory [MB]': peak_memory(),
        'files [bytes]': {k: (bundle.path / k).stat().st_size for k in bundle.files},
        'difference': difference,
        'latency [s]': latency,
        'onnxruntime / torch': round(onnx_seconds / torch_seconds, 3),
        'missing': list(report.missing),
        'unexpected': list(report.unexpected),
        'mis-shaped': list(report.mis_shaped),
    }
    return Conversion(bundle, report, figures)


def peak_memory() -> float:
    """Largest resident memory that this process has had, MB; NaN where nobody tells."""
    # getrusage would count what the parent had before this process began
    try:
        text = Path('/proc/self/status').read_text()
    except OSError:
        return float('nan')
    found = re.search(r'VmHWM:\s*(\d+) kB', text)
    return round(int(found[1]) / 1024, 1) if found else float('nan')


def _name(folder: Path, asked: str | None) -> str:
    """Name of the model, after a look at where it shall go."""
    empty = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    if not (empty or (folder / MANIFEST).is_file()):
        msg = f'{folder} is there and is no model bundle, so it is left alone; give a new folder'
        raise BundleError(msg)
    name = asked or folder.name
    if not IDENTIFIER.fullmatch(name):
        msg = f'{name!r} cannot name a model: use letters, digits and . _ + - (option --name)'
        raise BundleError(msg)
    return name


class _Steps:
    """Says and measures what is being done."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._start = time.perf_counter()
        self.seconds: dict[str, float] = {}

    @property
    def total(self) -> float:
        return time.perf_counter() - self._start

    @contextmanager
    def __call__(self, title: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.seconds[title] = round(time.perf_counter() - begin, 2)
        self._say(f'{title}: {self.seconds[title]:.1f} s, peak memory {peak_memory():.0f} MB')


def _load(file: Path, branch: str) -> tuple[DepthBranch, CheckpointReport, dict[str, Any]]:
    """The branch, how the whole file differs from the official layout, and where it is from."""
    state = read_checkpoint(file)
    module, _ = load_branch(state, branch)
    report = compare_state(official_tensors(module.config), state)
    notes = {
        'checkpoint': file.name,
        'sha256': sha256_file(file),
        'branch': branch,
        'encoder': encoder_name(module.config),
        'parameters': sum(p.numel() for p in module.parameters()),
        'network': module.config.as_dict(),
    }
    return module, report, notes


def encoder_name(config: MonoTherConfig) -> str:
    """Usual name of an encoder, such as vitl."""
    return {384: 'vits', 768: 'vitb', 1024: 'vitl'}.get(config.embed, f'vit{config.embed}')


def _summary(branch: DepthBranch, notes: dict[str, Any], report: CheckpointReport) -> str:
    """What the file holds, in words."""
    text = (
        f'{notes["checkpoint"]}: {notes["branch"]} branch complete, {notes["encoder"]}, '
        f'{notes["parameters"] / 1e6:.2f} M parameters'
    )
    if report == CheckpointReport():
        return f'{text}; all entries of the file fit the official layout'
    return f'{text}\nin the whole file, compared with the official layout:\n{report.text()}'


def _check_disk(folder: Path, branch: DepthBranch, settings: ConvertSettings) -> None:
    """Refuse to begin where the bundle will not fit."""
    count = sum(p.numel() for p in branch.parameters())
    size = count * ((4 if settings.precision == 'fp32' else 2) + 4 * settings.weights) * 1.02
    home = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.is_dir())
    free = shutil.disk_usage(home).free
    if free < size:
        msg = (
            f'the bundle needs {size / 1e9:.2f} GB, {home} has {free / 1e9:.2f} GB left; make room'
        )
        raise BundleError(msg + (' or leave out the weights' if settings.weights else ''))


def _save_weights(branch: DepthBranch, name: str, path: Path) -> None:
    """Weights under official names, readable by read_checkpoint."""
    texts = {CONFIG_KEY: json.dumps(branch.config.as_dict()), 'branch': name}
    state = {k: v.contiguous() for k, v in official_state(branch, f'{name}.').items()}
    safetensors.torch.save_file(state, path, texts)
    path.chmod(0o644)


def _export(
    branch: DepthBranch, example: NDArray[np.float32], settings: ConvertSettings, path: Path
) -> None:
    """Write the ONNX file; the branch is used up."""
    deployed = DeployedBranch(branch, settings.branch, settings.size, settings.precision)
    model = to_onnx(
        deployed,
        torch.from_numpy(example),
        settings.branch,
        OUTPUTS,
        lambda name: initialiser_name(settings.branch, name),
    )
    path.write_bytes(model.SerializeToString())


def _revision(digest: str, settings: ConvertSettings) -> str:
    """Names the state of the weights and what was made of it."""
    height, width = settings.size
    return f'{digest[:12]}-{settings.branch}-{height}x{width}-{settings.precision}'


def _move(path: Path) -> Callable[[Path], None]:
    """Content of a bundle's file that has been written beside the bundle."""

    def write(target: Path) -> None:
        path.replace(target)

    return write
