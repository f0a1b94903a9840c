# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ZoeDepth of the transformers library."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F

from monother_ros.core.errors import TeacherError
from monother_ros.learning.teachers.base import BaseTeacher
from monother_ros.learning.teachers.picture import HALF, SizeRule, normalise, resize
from monother_ros.learning.teachers.results import TeacherBatch, TeacherOptions

if TYPE_CHECKING:
    from torch import Tensor

    from monother_ros.learning.teachers.transformers_models import Processing

RULE = SizeRule(384, 512, 32)
"""Published target; the class default of the library, a multiple of 1/32, is a slip."""


def margins(height: int, width: int) -> tuple[int, int]:
    """
    Rows and columns added on each side, int(3 √(side / 2)) (ZoeDepth's inference code).

    They keep the artefacts of the network at its border out of the picture.

    :param height: of the picture in pixels.
    :param width: of the picture in pixels.
    """
    return int(3 * (height / 2) ** 0.5), int(3 * (width / 2) ** 0.5)


class ZoeDepthTeacher(BaseTeacher):
    """
    ZoeDepth (Bhat et al. 2023): metric depth from bins, of one domain or several.

    Before: reflected margins, bilinear resize with aligned corners by :class:`SizeRule`,
    (v - 0.5) / 0.5. After: mean with the mirrored pass, bicubic resize to the picture with its
    margins, margins cut off.

    A model with several heads lets the pictures of a batch vote for one of them. Here each picture
    chooses alone, so that its depth does not depend on its neighbours in the batch.

    :param name: of the model.
    :param model: ZoeDepthForDepthEstimation with its weights.
    :param processing: settings of its image processor.
    :param options: size replaces the target; domain names the head to use; flip is on by default.
    """

    uses: ClassVar[frozenset[str]] = frozenset({'size', 'domain', 'focal_length'})

    def __init__(
        self, name: str, model: Any, processing: Processing, options: TeacherOptions
    ) -> None:
        """See the class."""
        super().__init__(name, 'metric', options)
        self.model = model.eval().requires_grad_(False).to(self.device)
        self.flip = options.flip is not False
        self.rule = processing.size_rule(RULE, options.size)
        if self.rule.multiple < 1:
            self.rule = replace(self.rule, multiple=RULE.multiple)
        self.pad = bool(processing.settings.get('do_pad', True))
        kernel = processing.kernel('bilinear')
        if kernel != 'bilinear':
            msg = f'preprocessor_config.json of {name} asks for {kernel}; ZoeDepth is bilinear'
            raise TeacherError(msg)
        self.mean = processing.numbers('image_mean', HALF)
        self.std = processing.numbers('image_std', HALF)
        self.domains = tuple(str(item.get('name', '')) for item in model.config.bin_configurations)
        if options.domain is not None:
            self._force(options.domain)

    def prepare(self, picture: Tensor) -> Tensor:
        """
        Network input of a batch.

        :param picture: (B, 3, H, W) float in [0, 1].
        :returns: (B, 3, h, w), h and w multiples of 32.
        """
        size = self.rule(*self._padded(*picture.shape[2:]))
        if self.pad:
            rows, columns = margins(*picture.shape[2:])
            picture = F.pad(picture, (columns, columns, rows, rows), mode='reflect')
        return normalise(resize(picture, size, 'aligned'), self.mean, self.std)

    def finish(self, output: Tensor, size: tuple[int, int]) -> Tensor:
        """
        Depth at the size of the picture.

        :param output: (B, h, w) metres.
        :param size: (H, W) of the picture.
        :returns: (B, 1, H, W) metres.
        """
        height, width = size
        plane = resize(output.float()[:, None], self._padded(height, width), 'bicubic')
        if not self.pad:
            return plane
        rows, columns = margins(height, width)
        return plane[:, :, rows : rows + height, columns : columns + width]

    def _run(self, picture: Tensor, focal: Tensor | None) -> TeacherBatch:
        """Whole way of a batch."""
        prepared = self.prepare(picture)
        alone = len(self.domains) > 1 and self.options.domain is None
        with self._mixed():
            parts = prepared.split(1) if alone else (prepared,)
            output = torch.cat([self.model(part).predicted_depth for part in parts])
        height, width = picture.shape[2:]
        return TeacherBatch(self.finish(output, (height, width)))

    def _padded(self, height: int, width: int) -> tuple[int, int]:
        """Height and width with the margins."""
        rows, columns = margins(height, width) if self.pad else (0, 0)
        return height + 2 * rows, width + 2 * columns

    def _network_width(self, height: int, width: int) -> float:
        """Width in pixels that the picture without its margins has in the network."""
        padded = self._padded(height, width)
        return self.rule(*padded)[1] * width / padded[1]

    def _force(self, domain: str) -> None:
        """Replace the network's vote by a fixed one."""
        if len(self.domains) < 2 or domain not in self.domains:
            has = f'has {", ".join(self.domains)}' if len(self.domains) > 1 else 'has one only'
            msg = f'{self.name} has no head for the domain {domain!r}: it {has}'
            raise TeacherError(msg)
        chosen = self.domains.index(domain)

        def vote(_module: Any, _inputs: Any, logits: Tensor) -> Tensor:
            return torch.zeros_like(logits).index_fill_(
                -1, torch.tensor([chosen], device=logits.device), 1.0
            )

        self.model.metric_head.mlp_classifier.register_forward_hook(vote)
