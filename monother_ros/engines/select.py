# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which engine runs a bundle on this machine."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING

from monother_ros.core.errors import EngineError
from monother_ros.engines.base import Engine, EngineOptions

if TYPE_CHECKING:
    from monother_ros.core.bundle import Bundle

AUTO = 'auto'

ENGINES = {'onnxruntime': ('monother_ros.engines.onnxruntime', 'OnnxRuntimeEngine', 'onnxruntime')}
"""Module, class and required import of each engine, in the order in which 'auto' tries them."""


def engine_names() -> tuple[str, ...]:
    """Names that :func:`load_engine` takes."""
    return (AUTO, *ENGINES)


def load_engine(bundle: Bundle, name: str = AUTO, options: EngineOptions | None = None) -> Engine:
    """
    Build the engine of a bundle and warm it up.

    :param bundle: what to run.
    :param name: 'auto' for the first kind that works here, or one of :func:`engine_names`.
    :param options: threads and device.
    :returns: the engine; its reason says what was probed and why this one was taken.
    :raises EngineError: the name is not known, or no engine works; every cause is named.
    """
    if name != AUTO:
        if name not in ENGINES:
            msg = f'engine {name!r} is not known; use one of {", ".join(engine_names())}'
            raise EngineError(msg)
        engine = _build(bundle, name, options)
        engine.reason = f'{name} was asked for'
        return engine
    failed: list[str] = []
    for candidate, (_, _, requirement) in ENGINES.items():
        if importlib.util.find_spec(requirement) is None:
            failed.append(f'{candidate}: {requirement} is not installed')
            continue
        try:
            engine = _build(bundle, candidate, options)
        except EngineError as err:
            failed.append(f'{candidate}: {err}')
            continue
        passed = f'; passed over {"; ".join(failed)}' if failed else ''
        engine.reason = f'auto took {candidate}, the first of {", ".join(ENGINES)} to work{passed}'
        return engine
    msg = f'no engine can run {bundle.name} on this machine: {"; ".join(failed)}'
    raise EngineError(msg)


def _build(bundle: Bundle, name: str, options: EngineOptions | None) -> Engine:
    """Import an engine's module only when it is wanted."""
    module, kind, _ = ENGINES[name]
    engine: Engine = getattr(importlib.import_module(module), kind)(bundle, options)
    return engine
