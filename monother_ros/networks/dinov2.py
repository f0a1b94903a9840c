# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The DINOv2 vision transformer (Oquab et al. 2023, arXiv 2304.07193) without register tokens.

Parameter names are those of the published weights, so that these load as they are. The position
embedding is interpolated by explicit scale factors, as the published depth networks were trained;
interpolating to a target size samples other places and gives visibly other depth.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PATCH = 14
"""Side of a patch in pixels."""

GRID = 37
"""Side of the stored position embedding in patches (518 pixels)."""

TAPS = 4
"""How many of the last blocks are read."""

_NUDGE = 0.1
"""Added to the patch count before it is divided by GRID; part of what the weights expect."""


class Attention(nn.Module):
    """
    Multi-head self attention with one linear layer for queries, keys and values.

    :param embed: width of a token; a multiple of heads.
    :param heads: number of heads.
    """

    def __init__(self, embed: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(embed, 3 * embed)
        self.proj = nn.Linear(embed, embed)

    def forward(self, tokens: Tensor, plain: bool = False) -> Tensor:
        """
        Mix tokens.

        :param tokens: (B, N, embed).
        :param plain: spell the softmax out instead of calling the fused operation; same numbers
            up to rounding, for exporters and engines that do not know the fused one.
        :returns: (B, N, embed).
        """
        batch, count, embed = tokens.shape
        split = self.qkv(tokens).reshape(batch, count, 3, self.heads, embed // self.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4).unbind(0)
        if plain:
            scores = (q * (q.shape[-1] ** -0.5)) @ k.transpose(-2, -1)
            mixed = scores.softmax(-1) @ v
        else:
            mixed = F.scaled_dot_product_attention(q, k, v)
        return self.proj(mixed.transpose(1, 2).reshape(batch, count, embed))


class Mlp(nn.Module):
    """
    Two linear layers with the exact (erf) GELU between them.

    :param embed: width of a token; the inner width is four times as much.
    """

    def __init__(self, embed: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(embed, 4 * embed)
        self.fc2 = nn.Linear(4 * embed, embed)

    def forward(self, tokens: Tensor) -> Tensor:
        """
        Transform each token.

        :param tokens: (B, N, embed).
        :returns: (B, N, embed).
        """
        return self.fc2(F.gelu(self.fc1(tokens)))


class LayerScale(nn.Module):
    """
    A learned factor per channel.

    :param embed: width of a token.
    """

    def __init__(self, embed: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(embed))

    def forward(self, tokens: Tensor) -> Tensor:
        """
        Scale.

        :param tokens: (B, N, embed).
        :returns: (B, N, embed).
        """
        return tokens * self.gamma


class Block(nn.Module):
    """
    One transformer block: norm before attention and before the MLP, both scaled residuals.

    :param embed: width of a token.
    :param heads: attention heads.
    """

    def __init__(self, embed: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed, eps=1e-6)
        self.attn = Attention(embed, heads)
        self.ls1 = LayerScale(embed)
        self.norm2 = nn.LayerNorm(embed, eps=1e-6)
        self.mlp = Mlp(embed)
        self.ls2 = LayerScale(embed)

    def forward(self, tokens: Tensor, plain: bool = False) -> Tensor:
        """
        Update tokens.

        :param tokens: (B, N, embed).
        :param plain: see :meth:`Attention.forward`.
        :returns: (B, N, embed).
        """
        tokens = tokens + self.ls1(self.attn(self.norm1(tokens), plain))
        return tokens + self.ls2(self.mlp(self.norm2(tokens)))


class PatchEmbed(nn.Module):
    """
    Patches to tokens by one strided convolution.

    :param embed: width of a token.
    """

    def __init__(self, embed: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, embed, PATCH, PATCH)

    def forward(self, image: Tensor) -> Tensor:
        """
        Embed.

        :param image: (B, 3, H, W).
        :returns: (B, H/14 * W/14, embed), row by row.
        """
        return self.proj(image).flatten(2).transpose(1, 2)


class DinoV2(nn.Module):
    """
    Encoder of one modality.

    :param embed: width of a token.
    :param blocks: number of blocks, at least four.
    :param heads: attention heads; divides embed.
    :raises ValueError: the sizes do not fit together.
    """

    frozen_position: Tensor | None

    def __init__(self, embed: int, blocks: int, heads: int) -> None:
        super().__init__()
        if embed % heads or blocks < TAPS:
            msg = f'{heads} heads must divide {embed} channels; {blocks} blocks must be >= {TAPS}'
            raise ValueError(msg)
        self.embed = embed
        self.plain_attention = False
        """spell attention out, for export"""
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + GRID * GRID, embed))
        self.mask_token = nn.Parameter(torch.zeros(1, embed))
        self.patch_embed = PatchEmbed(embed)
        self.blocks = nn.ModuleList(Block(embed, heads) for _ in range(blocks))
        self.norm = nn.LayerNorm(embed, eps=1e-6)
        self.register_buffer('frozen_position', None, persistent=False)
        self._frozen_size: tuple[int, int] | None = None
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.normal_(self.cls_token, std=1e-6)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def position(self, height: int, width: int) -> Tensor:
        """
        Position embedding for an image size, computed in at least float32.

        :param height: of the image in pixels, a multiple of 14.
        :param width: of the image in pixels, a multiple of 14.
        :returns: (1, 1 + H/14 * W/14, embed); the class token's comes first, unchanged.
        """
        rows, columns = height // PATCH, width // PATCH
        if rows * columns == GRID * GRID and rows == columns:
            return self.pos_embed
        stored: Tensor = self.pos_embed
        if stored.dtype in (torch.float16, torch.bfloat16):
            stored = stored.float()
        grid = stored[:, 1:].reshape(1, GRID, GRID, self.embed).permute(0, 3, 1, 2)
        grid = F.interpolate(
            grid,
            scale_factor=((rows + _NUDGE) / GRID, (columns + _NUDGE) / GRID),
            mode='bicubic',
            align_corners=False,
            recompute_scale_factor=False,
        )
        return torch.cat([stored[:, :1], grid.flatten(2).transpose(1, 2)], 1)

    def freeze_position(self, height: int, width: int) -> None:
        """
        Keep the position embedding of one size as a constant, for export; undone by thaw_position.

        :param height: of the image in pixels, a multiple of 14.
        :param width: of the image in pixels, a multiple of 14.
        """
        _check_size(height, width)
        position = self.position(height, width).detach().clone()
        self.frozen_position = position.to(self.pos_embed.dtype)
        self._frozen_size = (height, width)

    def thaw_position(self) -> None:
        """Interpolate the position embedding per call again."""
        self.frozen_position = None
        self._frozen_size = None

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """
        Token maps of the last four blocks, each after the final norm.

        :param image: (B, 3, H, W) normalised; H and W multiples of 14.
        :returns: four times (B, H/14 * W/14, embed), the deepest last; no class token.
        :raises ValueError: a size that is no multiple of 14, or not the frozen one.
        """
        height, width = int(image.shape[-2]), int(image.shape[-1])
        _check_size(height, width)
        if self.frozen_position is None:
            position = self.position(height, width)
        else:
            if self._frozen_size != (height, width):
                msg = f'position embedding is frozen for {self._frozen_size}, got {height, width}'
                raise ValueError(msg)
            position = self.frozen_position
        tokens = self.patch_embed(image)
        first = self.cls_token.expand(tokens.shape[0], -1, -1)
        tokens = torch.cat([first.to(tokens.dtype), tokens], 1) + position.to(tokens.dtype)
        taps = []
        start = len(self.blocks) - TAPS
        for index, block in enumerate(self.blocks):
            tokens = block(tokens, self.plain_attention)
            if index >= start:
                taps.append(self.norm(tokens)[:, 1:])
        return tuple(taps)


def _check_size(height: int, width: int) -> None:
    if height % PATCH or width % PATCH or height < PATCH or width < PATCH:
        msg = f'image size {height}x{width} must be multiples of {PATCH}: resize it first'
        raise ValueError(msg)
