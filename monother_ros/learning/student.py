# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The network that learns on the vehicle: which part of it is trained, and how its weights leave.

A student is loaded from a bundle with `weights.safetensors`; what it has learned leaves as the
initialisers of that bundle's ONNX graph (for a revision) and as weights to train on from.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import safetensors
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from monother_ros.core.bundle import Bundle
from monother_ros.core.errors import AdaptationError, BundleError
from monother_ros.learning import low_rank

PARTS = ('head', 'decoder', 'norm', 'all', 'adapters')
"""What can be trained: the output layers; everything behind the encoder; scale and offset of the
normalisation layers; everything; low-rank adapters beside frozen weights."""

WEIGHTS = 'weights.safetensors'
CONFIG_KEY = 'monother_config'


class StudentOutput(NamedTuple):
    """What a student says."""

    depth: Tensor
    """(B, 1, h, w) metres for the bundle's focal length"""
    logits: Tensor | None
    """(B, bins, h/4, w/4) unnormalised log probabilities of depth bins; None where the student
    has no bins in fixed places"""


class Bins(NamedTuple):
    """Places of the depth bins of a student."""

    first: float
    """log metres of the first bin's centre"""
    width: float
    """distance of centres in log metres"""
    far: float
    """metres of the last bin's centre, which is said of sky"""


class Student(ABC):
    """
    A network that can be trained on.

    :param bundle: it comes from.
    :param module: the network; nothing of it is frozen at first.
    :param device: to train on.
    :raises AdaptationError: the bundle's ONNX graph lacks a parameter of the network.
    """

    parts: tuple[str, ...] = PARTS
    bins: Bins | None = None

    def __init__(self, bundle: Bundle, module: nn.Module, device: str | torch.device) -> None:
        self.bundle = bundle
        self.module = module
        self.device = torch.device(device)
        self._kinds = initialiser_kinds(bundle)
        self._touched: set[str] = set()
        self._selected = False
        missing = sorted(set(self.onnx_names().values()) - set(self._kinds))
        if missing:
            msg = (
                f'{bundle.model_path} lacks the initialisers {", ".join(missing[:4])} of its own '
                'weights, so what is learned could not reach it; convert or export the model again'
            )
            raise AdaptationError(msg)

    @abstractmethod
    def predict(self, x: Tensor) -> StudentOutput:
        """
        Depth, with gradients to the selected parameters.

        :param x: (B, C, h, w) float32 network input, as at run time.
        """

    @abstractmethod
    def members(self, part: str) -> Iterator[str]:
        """Names of the parameters of a part other than 'adapters', in the module."""

    @abstractmethod
    def adapter_places(self) -> list[str]:
        """Names of the submodules that get an adapter."""

    @abstractmethod
    def onnx_names(self) -> dict[str, str]:
        """Parameter name in the module -> name of the initialiser that holds it."""

    @abstractmethod
    def folded(self, name: str) -> Tensor:
        """
        Value of an initialiser: batch norm and adapters folded in.

        :param name: of a parameter in :meth:`onnx_names`.
        """

    @abstractmethod
    def weights(self) -> bytes:
        """Content of weights.safetensors to train on from; adapters are merged in it."""

    def select(self, part: str) -> list[nn.Parameter]:
        """
        Choose what is trained; the rest is frozen. Adapters of before are merged.

        :param part: one of `parts`.
        :returns: the parameters to train.
        :raises AdaptationError: there is no such part.
        """
        if part not in self.parts:
            msg = f'a student has no part {part!r}; use one of {", ".join(self.parts)}'
            raise AdaptationError(msg)
        self._note_touched()
        if part != 'adapters':
            low_rank.merge(self.module)
        self.module.requires_grad_(False)
        if part == 'adapters':
            places = self.adapter_places()
            low_rank.attach(self.module, places, seed=len(places))
            for name in places:
                self.module.get_submodule(f'{name}.{low_rank.CHILD}').requires_grad_(True)
        else:
            for name in self.members(part):
                self.module.get_parameter(name).requires_grad_(True)
        self._selected = True
        return list(self._trained().values())

    def trainable_parameters(self) -> int:
        """How many numbers are trained."""
        return sum(p.numel() for p in self._trained().values())

    def snapshot(self) -> dict[str, Tensor]:
        """Copy of what is trained; of use as long as the same part is selected."""
        return {name: p.detach().clone() for name, p in self._trained().items()}

    def snapshot_of(self, other: Student | None) -> dict[str, Tensor]:
        """
        Copy of what is trained here, with the values that another student of the same kind has.

        :param other: None for this one. Parameters that it lacks (adapters) are taken from here.
        """
        own = self.snapshot()
        if other is None:
            return own
        there = dict(other.module.named_parameters())
        return {
            name: there[name].detach().to(value.device).clone() if name in there else value
            for name, value in own.items()
        }

    @torch.no_grad()
    def restore(self, snapshot: Mapping[str, Tensor]) -> None:
        """
        Go back.

        :param snapshot: from :meth:`snapshot`.
        :raises AdaptationError: another part was selected then.
        """
        trained = self._trained()
        if set(trained) != set(snapshot):
            msg = 'a snapshot fits only the part of the student that it was taken of; select it'
            raise AdaptationError(msg)
        for name, parameter in trained.items():
            parameter.copy_(snapshot[name])

    @torch.no_grad()
    def initialisers(self) -> dict[str, NDArray[Any]]:
        """
        Initialisers of the bundle's ONNX graph that may differ from those it was loaded with.

        :returns: by their names in the graph, with the types and shapes that they have there.
        """
        names = self.onnx_names()
        changed = self._touched | self._weights_trained()
        result = {}
        for own in names:
            if own in changed:
                kind, shape = self._kinds[names[own]]
                value = self.folded(own).detach().float().cpu().contiguous().numpy()
                result[names[own]] = np.ascontiguousarray(value.astype(kind).reshape(shape))
        return result

    def _trained(self) -> dict[str, nn.Parameter]:
        return {n: p for n, p in self.module.named_parameters() if p.requires_grad}

    def _note_touched(self) -> None:
        if self._selected:
            self._touched |= self._weights_trained()

    def _weights_trained(self) -> set[str]:
        """Parameters with an initialiser that what is trained now changes."""
        return {name for trained in self._trained() for name in self.reaches(trained)}

    def reaches(self, trained: str) -> tuple[str, ...]:
        """
        Parameters whose initialisers depend on a trained one.

        :param trained: name of the trained parameter in the module.
        """
        place, _, _ = trained.rpartition(f'.{low_rank.CHILD}.')
        return (f'{place}.weight',) if place else (trained,)

    def plain_state(self) -> dict[str, Tensor]:
        """State of the module without adapters: they are merged into copies of their weights."""
        state = {}
        for name, value in self.module.state_dict().items():
            if f'.{low_rank.CHILD}.' not in name:
                state[name] = value.detach()
        for name, part in self.module.named_modules():
            if isinstance(part, low_rank.LowRank):
                weight = self.reaches(f'{name}.up')[0]
                state[weight] = low_rank.adapted(state[weight], part).detach()
        return state


def frozen(student: Student) -> Student:
    """A copy that is never trained; bundle and names are shared."""
    other = copy.copy(student)
    other.module = copy.deepcopy(student.module).eval().requires_grad_(False)
    return other


def initialiser_kinds(bundle: Bundle) -> dict[str, tuple[np.dtype[Any], tuple[int, ...]]]:
    """
    Types and shapes of the initialisers of a bundle's ONNX graph.

    :param bundle: with its model.onnx.
    :returns: by their names; only types that weights have.
    :raises AdaptationError: the graph cannot be read.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(str(bundle.model_path), load_external_data=False)
    except (OSError, DecodeError) as err:
        msg = f'{bundle.model_path} cannot be read as ONNX: {err}; copy the bundle again'
        raise AdaptationError(msg) from err
    kinds = {onnx.TensorProto.FLOAT: np.float32, onnx.TensorProto.FLOAT16: np.float16}
    return {
        item.name: (np.dtype(kinds[item.data_type]), tuple(item.dims))
        for item in model.graph.initializer
        if item.data_type in kinds
    }


def load_student(bundle: Bundle, device: str | torch.device = 'cpu') -> Student:
    """
    Student of a bundle.

    :param bundle: of the lite network or of a converted thermal branch, or a revision of one.
    :param device: to train on.
    :raises AdaptationError: the bundle cannot be trained on, and why.
    """
    path = bundle.path / WEIGHTS
    if bundle.modality != 'thermal':
        msg = f'{bundle.path} takes {bundle.modality}; the student must be a thermal network'
        raise AdaptationError(msg)
    if WEIGHTS not in bundle.files or not path.is_file():
        msg = (
            f'{bundle.path} holds no {WEIGHTS}, so it can be run but not trained on; take one '
            'with weights (monother convert writes them unless told not to)'
        )
        raise AdaptationError(msg)
    try:
        with safetensors.safe_open(str(path), 'pt') as file:
            metadata = file.metadata() or {}
        if CONFIG_KEY in metadata:
            from monother_ros.learning.student_branch import BranchStudent

            return BranchStudent(bundle, device)
        from monother_ros.learning.student_lite import LiteStudent

        return LiteStudent(bundle, device)
    except (OSError, BundleError, safetensors.SafetensorError) as err:
        msg = f'{path} cannot be trained on: {err}'
        raise AdaptationError(msg) from err
