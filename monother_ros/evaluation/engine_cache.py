# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Engines that are made once per process, for many recordings with the same model."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from monother_ros.core.bundle import load_bundle
from monother_ros.engines.select import load_engine

if TYPE_CHECKING:
    from monother_ros.engines.base import Engine, EngineOptions


@functools.lru_cache(maxsize=4)
def shared_engine(bundle: str, name: str, options: EngineOptions) -> Engine:
    """
    Engine of a bundle, made once per process.

    :param bundle: folder of the model.
    :param name: of the kind of engine; :param options: how it runs, with its threads.
    :raises BundleError: the folder holds no usable bundle.
    :raises EngineError: no engine can run it here.
    """
    return load_engine(load_bundle(bundle), name, options)
