# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The thermal branch of the dual network as a student."""

from __future__ import annotations

import json
from collections.abc import Iterator

import safetensors.torch
import torch
from torch import Tensor, nn

from monother_ros.core.bundle import Bundle
from monother_ros.core.errors import AdaptationError
from monother_ros.learning.low_rank import CHILD, AdaptedLinear, adapted
from monother_ros.learning.student import CONFIG_KEY, WEIGHTS, Student, StudentOutput
from monother_ros.networks.checkpoint import load_branch, read_checkpoint
from monother_ros.networks.deploy import check_size, initialiser_name
from monother_ros.networks.monother import DepthBranch
from monother_ros.networks.names import official_name

_UNUSED = ('encoder.pos_embed', 'encoder.mask_token', 'decoder.scratch.refinenet4.resConfUnit1.')
"""Parameters that the exported network does not have: the position embedding is a constant there,
and the others never take part."""


class BranchStudent(Student):
    """
    A vision transformer branch in float32, whatever the precision of its bundle.

    The position embedding stays as it is, because the exported network holds it resized to its
    input as a constant.

    :param bundle: converted from a checkpoint, with weights.
    :param device: to train on.
    :raises BundleError: the weights are damaged or incomplete.
    """

    module: DepthBranch

    def __init__(self, bundle: Bundle, device: str | torch.device = 'cpu') -> None:
        state = read_checkpoint(bundle.path / WEIGHTS)
        self._modality = 'thermal'
        if state.metadata.get('branch', self._modality) != self._modality:
            msg = f'{bundle.path / WEIGHTS} holds the {state.metadata["branch"]} branch'
            raise AdaptationError(f'{msg}; the student is the thermal one')
        branch, _ = load_branch(state, self._modality)
        del state
        for block in branch.encoder.blocks:
            for place in ('attn.qkv', 'attn.proj', 'mlp.fc1', 'mlp.fc2'):
                owner, _, leaf = place.partition('.')
                part = block.get_submodule(owner)
                setattr(part, leaf, AdaptedLinear(getattr(part, leaf)))
        width, height = bundle.input_size
        check_size((height, width))
        branch.encoder.freeze_position(height, width)
        branch.head.sort_centres = False
        branch.eval().to(device)
        super().__init__(bundle, branch, device)
        for name, parameter in branch.named_parameters():
            parameter.requires_grad_(not name.startswith(_UNUSED))

    def predict(self, x: Tensor) -> StudentOutput:
        """
        Depth; see :meth:`Student.predict`.

        :param x: (B, 3, h, w) float32.
        """
        return StudentOutput(self.module(x.to(self.device)).depth, None)

    def members(self, part: str) -> Iterator[str]:
        """Names of the parameters of a part; see :meth:`Student.members`."""
        norms = {n for n, m in self.module.named_modules() if isinstance(m, nn.LayerNorm)}
        for name, _ in self.module.named_parameters():
            top = name.split('.')[0]
            if name.startswith(_UNUSED):
                continue
            if (
                part == 'all'
                or (part == 'head' and top == 'head')
                or (part == 'decoder' and top in ('decoder', 'head'))
                or (part == 'norm' and name.rpartition('.')[0] in norms)
            ):
                yield name

    def adapter_places(self) -> list[str]:
        """Linear layers of the encoder's blocks."""
        return [n for n, m in self.module.named_modules() if isinstance(m, AdaptedLinear)]

    def onnx_names(self) -> dict[str, str]:
        """Initialisers have the official names."""
        return {
            name: initialiser_name(self._modality, f'network.{name}')
            for name, _ in self.module.named_parameters()
            if not name.startswith(_UNUSED) and f'.{CHILD}.' not in name
        }

    def folded(self, name: str) -> Tensor:
        """Value of an initialiser; see :meth:`Student.folded`."""
        owner = self.module.get_submodule(name.rpartition('.')[0])
        if isinstance(owner, AdaptedLinear) and name.endswith('.weight'):
            return adapted(owner.weight, owner.low_rank)
        return self.module.get_parameter(name)

    def weights(self) -> bytes:
        """Content of weights.safetensors; see :meth:`Student.weights`."""
        texts = {CONFIG_KEY: json.dumps(self.module.config.as_dict()), 'branch': self._modality}
        state = {
            official_name(f'{self._modality}.{key}'): value.cpu().contiguous()
            for key, value in self.plain_state().items()
        }
        return safetensors.torch.save(state, texts)
