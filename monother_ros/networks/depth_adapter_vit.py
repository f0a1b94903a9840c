# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Sparse metric depth beside a frozen DINOv2 encoder.

After Vanishing Depth (Koch et al. 2025, arXiv 2503.19947): a second transformer of the same size
reads the positional depth encoding, begins with the weights of the frozen one, and takes its
tokens over after chosen blocks; the frozen one never sees depth. The result are token maps as
:class:`monother_ros.networks.dinov2.DinoV2` gives them, so the same decoders read them.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from monother_ros.core.errors import SettingsError
from monother_ros.networks.depth_adapter import Fusion
from monother_ros.networks.depth_encoding import DepthEncoding, encode, measured
from monother_ros.networks.dinov2 import PATCH, TAPS, DinoV2

PUBLISHED = (2, 5, 8, 11)
"""Blocks, from 0, after which the published 12-block models fuse."""


class DinoDepthAdapter(nn.Module):
    """
    Two transformers side by side: the frozen one for pictures, the trained one for depth.

    :param image: encoder to stand beside; it is frozen and stays in evaluation mode.
    :param encoding: how measured depth is told; :func:`..depth_encoding.outdoor` for vehicles.
    :param after: blocks, from 0, after which image tokens are taken over.
    :param fuse_class: take over the class token, too (the published small model does).
    :param returned: blocks, from 0, whose tokens are returned, four of them; None for the last
        four.
    :param joined: return depth and image tokens side by side, twice as wide and from before the
        fusion, as downstream heads of the published models may take them.
    :raises SettingsError: a block is not there.
    """

    def __init__(
        self,
        image: DinoV2,
        encoding: DepthEncoding | None = None,
        after: Sequence[int] = PUBLISHED,
        *,
        fuse_class: bool = True,
        returned: Sequence[int] | None = None,
        joined: bool = False,
    ) -> None:
        super().__init__()
        count = len(image.blocks)
        taps = range(count - TAPS, count) if returned is None else returned
        for blocks in (after, taps):
            if not blocks or any(not 0 <= k < count for k in blocks):
                msg = (
                    f'cannot fuse after or return blocks {list(blocks)}: the encoder has blocks 0 '
                    f'to {count - 1}'
                )
                raise SettingsError(msg)
        self.encoding = encoding or DepthEncoding()
        self.after = tuple(sorted(set(after)))
        self.returned = tuple(sorted(set(taps)))
        self.fuse_class = fuse_class
        self.joined = joined
        depth = copy.deepcopy(image).requires_grad_(True)
        old = depth.patch_embed.proj
        new = nn.Conv2d(self.encoding.width, image.embed, PATCH, PATCH)
        assert old.bias is not None and new.bias is not None
        with torch.no_grad():
            new.bias.copy_(old.bias)
        depth.patch_embed.proj = new
        # no token is ever masked
        depth.mask_token.requires_grad_(False)
        self.depth = depth
        self.image = image.eval().requires_grad_(False)
        self.fusion = nn.ModuleList(Fusion(image.embed) for _ in self.after)

    def train(self, mode: bool = True) -> DinoDepthAdapter:
        """Train the depth branch only."""
        super().train(mode)
        self.image.eval()
        return self

    def forward(self, image: Tensor, depth: Tensor) -> tuple[Tensor, ...]:
        """
        Token maps of the returned blocks of the depth branch, each after its final norm.

        :param image: (B, 3, H, W) normalised; H and W multiples of 14.
        :param depth: (B, 1, H, W) metres, 0 = none; beyond the encoding's maximum is none.
        :returns: four times (B, H/14 * W/14, embed), or twice as wide where joined; the deepest
            last; no class token.
        """
        return self.complete(self.freeze(image), depth)

    @property
    def wanted(self) -> tuple[int, ...]:
        """Blocks, from 0, whose image tokens the depth branch needs."""
        return tuple(sorted({*self.after, *(self.returned if self.joined else ())}))

    def freeze(self, image: Tensor) -> tuple[Tensor, ...]:
        """
        What the frozen transformer says.

        :param image: (B, 3, H, W) normalised; H and W multiples of 14.
        :returns: (B, 1 + H/14 * W/14, embed) for each of :attr:`wanted`, before the final norm.
        """
        encoder, wanted, found = self.image, self.wanted, []
        with torch.no_grad():
            tokens = _first_tokens(encoder, image)
            for k, block in enumerate(encoder.blocks[: wanted[-1] + 1]):
                tokens = block(tokens, encoder.plain_attention)
                if k in wanted:
                    found.append(tokens)
        return tuple(found)

    def complete(self, frozen: Sequence[Tensor], depth: Tensor) -> tuple[Tensor, ...]:
        """
        Token maps of the depth branch.

        :param frozen: of :meth:`freeze`.
        :param depth: see :meth:`forward`.
        :returns: see :meth:`forward`.
        """
        theirs = dict(zip(self.wanted, frozen, strict=True))
        fusions = dict(zip(self.after, self.fusion, strict=True))
        encoder = self.depth
        tokens = _first_tokens(
            encoder, encode(measured(depth, self.encoding.maximum), self.encoding)
        )
        taps = []
        for k, block in enumerate(encoder.blocks[: max(*self.after, *self.returned) + 1]):
            tokens = block(tokens, encoder.plain_attention)
            before = tokens
            if k in fusions:
                tokens = self._fused(fusions[k], tokens, theirs[k])
            if k in self.returned:
                tap = encoder.norm(before if self.joined else tokens)[:, 1:]
                if self.joined:
                    tap = torch.cat([tap, self.image.norm(theirs[k])[:, 1:]], 2)
                taps.append(tap)
        return tuple(taps)

    def _fused(self, fusion: nn.Module, ours: Tensor, theirs: Tensor) -> Tensor:
        """Tokens of the depth branch with those of the image."""
        first = 0 if self.fuse_class else 1
        depth, image = (t[:, first:].transpose(1, 2).unsqueeze(3) for t in (ours, theirs))
        fused: Tensor = fusion(depth, image).squeeze(3).transpose(1, 2)
        return fused if self.fuse_class else torch.cat([ours[:, :1], fused], 1)


def quarters(blocks: int) -> tuple[int, ...]:
    """
    Last block, from 0, of each quarter of an encoder: those of 12 are :data:`PUBLISHED`.

    :param blocks: of the encoder, at least 4.
    """
    return tuple(blocks * k // 4 - 1 for k in range(1, 5))


def _first_tokens(encoder: DinoV2, image: Tensor) -> Tensor:
    """Tokens before the first block: class token, patches and their places."""
    frozen = encoder.frozen_position
    height, width = int(image.shape[-2]), int(image.shape[-1])
    position = encoder.position(height, width) if frozen is None else frozen
    tokens: Tensor = encoder.patch_embed(image.to(encoder.pos_embed.dtype))
    first = encoder.cls_token.expand(tokens.shape[0], -1, -1)
    return torch.cat([first.to(tokens.dtype), tokens], 1) + position.to(tokens.dtype)
