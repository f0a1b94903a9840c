# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Acceptance of engines that are built within moments, so that no record of it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monother_ros.core.errors import BundleError, EngineError
from monother_ros.engines.acceptance import Limits, Reference, Verdict, judge, reference_of

if TYPE_CHECKING:
    from monother_ros.engines.base import Engine, EngineOptions


def limits_of(options: EngineOptions) -> Limits:
    """
    Limits of the acceptance test.

    :param options: of the engine; its tolerance replaces that of each frame.
    """
    return Limits() if options.tolerance is None else Limits(options.tolerance)


def accept_engine(engine: Engine, reference: Reference | None = None) -> Verdict:
    """
    Refuse an engine that is too far from ONNX Runtime on the CPU; it is warm afterwards.

    :param engine: that nothing else uses yet; closed where it is refused.
    :param reference: of its bundle; None to make it.
    :returns: the numbers.
    :raises EngineError: it is refused.
    """
    try:
        known = reference or reference_of(engine.bundle, engine.options.threads)
        precision = engine.options.precision
        verdict = judge(engine, known, limits_of(engine.options), precision)
    except BundleError as err:
        engine.close()
        raise EngineError(str(err)) from err
    except BaseException:
        engine.close()
        raise
    if not verdict.accepted:
        engine.close()
        msg = f'{engine.description} is refused by the acceptance test: {verdict.text}'
        raise EngineError(msg)
    engine.options.say(f'{engine.description} passes the acceptance test: {verdict.text}')
    return verdict
