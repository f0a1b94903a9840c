# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Checkpoints of the dual network: the authors' files, ours, and Depth Anything's to start from.

The authors' file is a pickled dict {'model': state, 'optimizer': None, 'epoch': int}; ours is
safetensors with the configuration in its metadata. Both carry official names. A pickle is only
ever read with weights_only, so a file can hold no code. What is missing, unexpected or of another
shape is told by name; a network that is not complete is refused.
"""

from __future__ import annotations

import json
import pickle
import re
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from monother_ros.core.errors import BundleError
from monother_ros.core.files import atomic_path
from monother_ros.core.parsing import parse_json
from monother_ros.networks.dinov2 import TAPS
from monother_ros.networks.monother import DepthBranch, MonoTherConfig, MonoTherNetwork
from monother_ros.networks.names import BRANCHES, official_name, official_state, own_state

if TYPE_CHECKING:
    from collections.abc import Mapping

CONFIG_KEY = 'monother_config'
"""Metadata of our own files: the configuration as JSON."""

BLOCKS = {384: 12, 768: 12, 1024: 24}
"""Blocks of the published encoders by the width of their tokens."""

_SHOWN = 12


class Checkpoint(dict[str, Tensor]):
    """Official name -> tensor; tensors may be mapped from the file and are only to be read."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source
        """where it comes from, for messages"""
        self.config: MonoTherConfig | None = None
        """of the network, where the file says so"""
        self.metadata: dict[str, str] = {}
        """texts that the file carries"""


@dataclass(frozen=True)
class CheckpointReport:
    """How a checkpoint differs from what a network needs; all names are those of the file."""

    missing: tuple[str, ...] = ()
    """entries that the network needs and the file has not"""
    unexpected: tuple[str, ...] = ()
    """entries of the file that no part of the network has"""
    mis_shaped: tuple[str, ...] = ()
    """entries of another shape, each with the shape in the file and the one needed"""

    @property
    def complete(self) -> bool:
        """Whether every entry that is needed is there with its shape."""
        return not self.missing and not self.mis_shaped

    def text(self, shown: int = _SHOWN) -> str:
        """
        Words for a person.

        :param shown: names to list of each kind; the others are counted.
        :returns: one line per kind that occurs, or a line that says that all fits.
        """
        lines = []
        for title, names in (
            ('missing', self.missing),
            ('of another shape', self.mis_shaped),
            ('unexpected', self.unexpected),
        ):
            if names:
                rest = f' and {len(names) - shown} more' if len(names) > shown else ''
                lines.append(f'{len(names)} {title}: {", ".join(names[:shown])}{rest}')
        return '\n'.join(lines) or 'all entries fit'


def read_checkpoint(path: str | Path) -> Checkpoint:
    """
    Read a checkpoint without executing anything in it.

    The tensors are mapped from the file where its format allows that: only what is used is read.

    :param path: the authors' file, a bare state dict, either with 'module.' in front of all names
        or not, or safetensors.
    :returns: official name -> tensor, on the CPU.
    :raises BundleError: no such file, not a checkpoint, truncated, or one that holds code.
    """
    file = Path(path)
    if not file.is_file():
        msg = f'no checkpoint at {file}'
        raise BundleError(msg)
    with file.open('rb') as handle:
        head = handle.read(9)
    state = Checkpoint(str(file))
    if file.suffix == '.safetensors' or (head[8:9] == b'{' and head[:2] != b'PK'):
        entries = _read_safetensors(file, state)
    else:
        entries = _read_pickle(file, mapped=head[:2] == b'PK')
    for name, value in entries.items():
        plain = name.removeprefix('module.') if isinstance(name, str) else None
        if plain is None or not isinstance(value, Tensor) or plain in state:
            msg = f'{file} is no state dict: entry {name!r} is no tensor with a name of its own'
            raise BundleError(msg)
        state[plain] = value.detach()
    if not state:
        msg = f'{file} holds no weights'
        raise BundleError(msg)
    return state


def write_checkpoint(
    network: MonoTherNetwork, path: str | Path, metadata: Mapping[str, str] | None = None
) -> Path:
    """
    Write a network as safetensors under official names, whole or not at all.

    :param network: any mode, any device.
    :param path: target; its folder is made where it is missing.
    :param metadata: texts to add, as what it was trained on.
    :returns: the target path.
    :raises OSError: the disk is full or the folder cannot be written; the old file is untouched.
    """
    state = {k: v.detach().cpu().contiguous() for k, v in official_state(network).items()}
    texts = {**(metadata or {}), CONFIG_KEY: json.dumps(network.config.as_dict())}
    with atomic_path(path) as work:
        safetensors.torch.save_file(state, str(work), texts)
    return Path(path)


def load_branch(
    state: Mapping[str, Tensor], branch: str, config: MonoTherConfig | None = None
) -> tuple[DepthBranch, CheckpointReport]:
    """
    One depth branch from a checkpoint; the other one is neither built nor read.

    :param state: official name -> tensor, from :func:`read_checkpoint`.
    :param branch: thermal or rgb.
    :param config: of the network; default what the file says, else what its shapes tell.
    :returns: the branch in evaluation mode with weights of its own in memory, and what differs.
    :raises BundleError: entries of the branch are missing, of another shape or not finite.
    """
    if branch not in BRANCHES:
        msg = f'branch {branch!r} must be one of {", ".join(BRANCHES)}'
        raise BundleError(msg)
    config = config or _config(state, branch)
    with torch.device('meta'):
        module = DepthBranch(config)
    report = compare_state(official_state(module, f'{branch}.'), state, official_layout(config))
    _require(report, f'the {branch} branch', state)
    _assign(module, f'{branch}.', state)
    return module.eval(), report


def load_network(
    state: Mapping[str, Tensor], config: MonoTherConfig | None = None
) -> tuple[MonoTherNetwork, CheckpointReport]:
    """
    Both branches and the confidence network from a checkpoint.

    :param state: official name -> tensor, from :func:`read_checkpoint`.
    :param config: of the network; default what the file says, else what its shapes tell.
    :returns: the network in evaluation mode with weights of its own in memory, and what differs.
    :raises BundleError: entries are missing, of another shape or not finite.
    """
    config = config or _config(state, 'thermal')
    with torch.device('meta'):
        module = MonoTherNetwork(config)
    report = compare_state(official_state(module), state)
    _require(report, 'the dual network', state)
    _assign(module, '', state)
    return module.eval(), report


def load_state(
    network: nn.Module, state: Mapping[str, Tensor], prefix: str = ''
) -> CheckpointReport:
    """
    Copy what fits into a network that exists; the rest keeps its values.

    :param network: the network, or what is found in it at prefix; changed in place.
    :param state: official name -> tensor.
    :param prefix: own name of the part with its dot, as 'thermal.'.
    :returns: what differs; ask it whether the state was complete.
    """
    needed = official_state(network, prefix)
    report = compare_state(needed, state)
    with torch.no_grad():
        for name, value in needed.items():
            if name in state and state[name].shape == value.shape:
                value.copy_(state[name])
    return report


def load_depth_anything(network: MonoTherNetwork, path: str | Path) -> CheckpointReport:
    """
    Start both branches from the relative weights of Depth Anything (version 1 as published).

    Encoders and decoders get the file's weights; the RGB metric head becomes a copy of the
    thermal one, so that both branches start alike.

    :param network: changed in place, unless the file is refused.
    :param path: the original layout: entries pretrained.* and depth_head.*.
    :returns: what differs; names as in the file.
    :raises BundleError: no checkpoint, or entries are missing or of another shape.
    """
    state = read_checkpoint(path)
    parts = {'encoder.': 'pretrained.', 'decoder.': 'depth_head.'}
    needed = {
        title + key: value
        for part, title in parts.items()
        for key, value in network.thermal.get_submodule(part[:-1]).state_dict().items()
    }
    report = compare_state(needed, state)
    _require(report, 'encoder and decoder of Depth Anything', state)
    with torch.no_grad():
        for branch in (network.thermal, network.rgb):
            for part, title in parts.items():
                for key, value in branch.get_submodule(part[:-1]).state_dict().items():
                    value.copy_(state[title + key])
        network.rgb.head.load_state_dict(network.thermal.head.state_dict())
    return report


def official_tensors(config: MonoTherConfig) -> dict[str, Tensor]:
    """
    Every state entry of the dual network without memory behind it.

    :param config: shape of the network.
    :returns: official name -> tensor on the meta device; its shape and type are right.
    """
    with torch.device('meta'):
        return official_state(MonoTherNetwork(config))


def official_layout(config: MonoTherConfig) -> dict[str, tuple[int, ...]]:
    """
    Names and shapes of every state entry of the dual network.

    :param config: shape of the network.
    :returns: official name -> shape.
    """
    return {name: tuple(value.shape) for name, value in official_tensors(config).items()}


def compare_state(
    needed: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    known: Mapping[str, Any] | None = None,
) -> CheckpointReport:
    """
    Compare names and shapes.

    :param needed: what must be there.
    :param state: what is there.
    :param known: names that may be there besides; default needed.
    :returns: the differences.
    """
    known = needed if known is None else known
    return CheckpointReport(
        missing=tuple(name for name in needed if name not in state),
        unexpected=tuple(name for name in state if name not in known and name not in needed),
        mis_shaped=tuple(
            f'{name} {_shape(state[name])} for {_shape(value)}'
            for name, value in needed.items()
            if name in state and state[name].shape != value.shape
        ),
    )


def _shape(value: Tensor) -> str:
    return 'x'.join(str(n) for n in value.shape) or 'scalar'


def _read_pickle(file: Path, mapped: bool) -> Mapping[Any, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # notes about old pickle protocols
            content = torch.load(file, map_location='cpu', weights_only=True, mmap=mapped)
    except Exception as err:  # damaged files raise whatever the damage leads to
        asked = re.search(r'GLOBAL (\S+)', str(err))
        if asked:
            msg = f'{file} is refused: besides tensors it holds {asked[1]}, and restoring '
            msg += 'that would run code. Save the state dict alone.'
        elif isinstance(err, pickle.UnpicklingError):
            msg = f'{file} is no checkpoint: it cannot be read as tensors and plain values'
        else:
            msg = f'{file} is no checkpoint or is damaged or not fully copied: {err!r}'
        raise BundleError(msg) from err
    if isinstance(content, dict) and isinstance(content.get('model'), dict):
        content = content['model']
    if not isinstance(content, dict):
        msg = f'{file} holds a {type(content).__name__}, not a state dict'
        raise BundleError(msg)
    return content


def _read_safetensors(file: Path, state: Checkpoint) -> Mapping[str, Tensor]:
    try:
        with safetensors.safe_open(str(file), 'pt') as handle:
            state.metadata = dict(handle.metadata() or {})
            entries = {key: handle.get_tensor(key) for key in handle.keys()}  # noqa: SIM118
        if CONFIG_KEY in state.metadata:
            state.config = MonoTherConfig.from_dict(parse_json(state.metadata[CONFIG_KEY]))
    except (OSError, ValueError, TypeError, safetensors.SafetensorError) as err:
        msg = f'{file} is no checkpoint or is damaged: {err}'
        raise BundleError(msg) from err
    return entries


def _config(state: Mapping[str, Tensor], branch: str) -> MonoTherConfig:
    """Configuration that the file states, else the one that its shapes tell."""
    stated = getattr(state, 'config', None)
    if isinstance(stated, MonoTherConfig):
        return stated
    try:
        shapes = {name: tuple(value.shape) for name, value in state.items()}
        config = MonoTherConfig.from_shapes(shapes, branch)
    except ValueError as err:
        source = getattr(state, 'source', 'the state')
        msg = f'{source} holds no {branch} branch of the dual network: {err}{_likeness(state)}'
        raise BundleError(msg) from err
    # a file that lacks the last blocks must not pass as a shallower network
    return replace(config, blocks=max(config.blocks, BLOCKS.get(config.embed, TAPS)))


def _likeness(state: Mapping[str, Tensor]) -> str:
    """A hint at what a file is instead."""
    own = own_state(state)
    found = [b for b in BRANCHES if any(key.startswith(f'{b}.') for key in own)]
    if any(key.startswith('depth_head.') for key in state):
        return '. It looks like relative weights of Depth Anything, which training starts from'
    if found:
        return f'. It holds entries of: {", ".join(found)}'
    return f'. None of its {len(state)} entries belongs to the dual network'


def _require(report: CheckpointReport, what: str, state: Mapping[str, Tensor]) -> None:
    if not report.complete:
        msg = f'{getattr(state, "source", "the state")} does not hold {what} completely:\n'
        raise BundleError(msg + report.text())


def _assign(module: nn.Module, prefix: str, state: Mapping[str, Tensor]) -> None:
    """Give a module that was built without memory its weights, entry by entry, as copies."""
    weights = {}
    for key, value in module.state_dict().items():
        name = official_name(prefix + key)
        source = state[name]
        if source.is_floating_point() and not bool(torch.isfinite(source).all()):
            msg = f'{getattr(state, "source", "the state")}: entry {name} is not finite'
            raise BundleError(msg)
        weights[key] = source.to(value.dtype, copy=True)
    module.load_state_dict(weights, assign=True)
