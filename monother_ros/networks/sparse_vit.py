# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Thermal picture and sparse depth to dense depth, through a frozen DINOv2 and its depth branch.

After Vanishing Depth (Koch et al. 2025, arXiv 2503.19947), with its decoder kept as the head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from monother_ros.core.errors import BundleError
from monother_ros.networks.blocks import fold_batch_norm
from monother_ros.networks.completion_decoder import WIDTHS, CompletionDecoder, decode_metres
from monother_ros.networks.deploy import PRECISIONS, check_size, keep_float32
from monother_ros.networks.depth_adapter_vit import DinoDepthAdapter, quarters
from monother_ros.networks.depth_encoding import DepthEncoding, outdoor
from monother_ros.networks.dinov2 import PATCH, DinoV2


@dataclass(frozen=True)
class SparseVitConfig:
    """Everything beside the encoder that decides the shape."""

    encoding: DepthEncoding = field(default_factory=outdoor)
    """how measured depth is told to the branch; beyond its maximum there is no measurement"""
    widths: tuple[int, int, int, int] = WIDTHS
    """channels of the decoder's levels, from coarse to fine"""
    near: float = 0.05
    """smallest depth that is said, metres"""
    far: float = 120.0
    """largest depth that is said, metres"""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and manifests."""
        return asdict(self)


class SparseVit(nn.Module):
    """
    A frozen encoder of pictures, the branch that reads measured depth, and the decoder.

    The branch fuses after, and the decoder reads, the last block of each quarter of the encoder.

    :param image: encoder to stand beside; it is frozen and stays in evaluation mode.
    :param config: shape of the rest.
    """

    def __init__(self, image: DinoV2, config: SparseVitConfig | None = None) -> None:
        super().__init__()
        self.config = config or SparseVitConfig()
        blocks = quarters(len(image.blocks))
        self.adapter = DinoDepthAdapter(image, self.config.encoding, blocks, returned=blocks)
        self.decoder = CompletionDecoder(image.embed, self.config.widths)

    def forward(self, picture: Tensor, sparse: Tensor) -> Tensor:
        """
        Predict.

        :param picture: (B, 3, H, W) as for the frozen encoder; H and W multiples of 14, and 32
            at least.
        :param sparse: (B, 1, H, W) metres at the focal length of the training, 0 = none.
        :returns: (B, 1, H, W) metres in near..far.
        """
        metres = decode_metres(self.complete(self.adapter.freeze(picture), sparse)[0])[:, None]
        size = (int(sparse.shape[-2]), int(sparse.shape[-1]))
        if metres.shape[-2:] != size:
            metres = F.interpolate(metres, size, mode='bilinear', align_corners=False)
        return metres.clamp(self.config.near, self.config.far)

    def complete(self, frozen: Sequence[Tensor], sparse: Tensor) -> list[Tensor]:
        """
        What the decoder says of measured depth, for :func:`decode_metres`.

        :param frozen: of the adapter's freeze.
        :param sparse: (B, 1, H, W) metres, 0 = none.
        :returns: (B, 4, h, w) of each level, the finest first.
        """
        rows, columns = int(sparse.shape[-2]), int(sparse.shape[-1])
        taps = self.adapter.complete(frozen, sparse)
        weight: Tensor = self.decoder.heads[0].weight  # type: ignore[assignment]
        taps = tuple(tap.to(weight.dtype) for tap in taps)
        return self.decoder(taps, (rows // PATCH, columns // PATCH), (rows, columns))  # type: ignore[no-any-return]


class DeployedSparseVit(nn.Module):
    """
    The network made ready for export at one size; a copy, the network is left as it is.

    'fp16' turns both encoders and the fusion to half precision; layer norms, softmax, the encoding
    of metres and the decoder stay in float32, and so do inputs and output.

    :param network: any mode.
    :param size: (h, w) of the input in pixels, multiples of 14.
    :param precision: 'fp32' or 'fp16'.
    :raises BundleError: precision or size cannot be.
    """

    def __init__(self, network: SparseVit, size: tuple[int, int], precision: str = 'fp32') -> None:
        super().__init__()
        if precision not in PRECISIONS:
            msg = f'precision {precision!r} is not known; use one of {", ".join(PRECISIONS)}'
            raise BundleError(msg)
        check_size(size)
        if min(size) < 32:
            msg = f'the size {size[0]}x{size[1]} is too small; height and width must be 32 or more'
            raise BundleError(msg)
        folded = fold_batch_norm(network)
        assert isinstance(folded, SparseVit)
        self.network = folded
        adapter = folded.adapter
        for encoder in (adapter.image, adapter.depth):
            encoder.plain_attention = True
            encoder.freeze_position(*size)
        if precision == 'fp16':
            adapter.half()
            for encoder in (adapter.image, adapter.depth):
                keep_float32(encoder)
        self.eval().requires_grad_(False)

    def forward(self, picture: Tensor, sparse: Tensor) -> Tensor:
        """
        Predict; see :meth:`SparseVit.forward`.

        :param picture: (1, 3, h, w) float32.
        :param sparse: (1, 1, h, w) float32 metres, 0 = none.
        """
        depth: Tensor = self.network(picture, sparse)
        return depth
