# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the network of a bundle computes in INT8, told without the package onnx."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monother_ros.core.bundle import Bundle

MARK = b'DequantizeLinear'


def is_quantised(bundle: Bundle) -> bool:
    """
    Look for the operators of explicit quantisation in the graph.

    :param bundle: any.
    :returns: False also where the file cannot be read; building an engine says why.
    """
    try:
        with (
            bundle.model_path.open('rb') as handle,
            mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            return content.find(MARK) >= 0
    except (OSError, ValueError):
        return False
