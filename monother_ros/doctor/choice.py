# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which engine 'auto' would take here, and why not another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monother_ros.core.errors import EngineError
from monother_ros.doctor.findings import FAIL, INFO, OK, Finding, Section
from monother_ros.engines.select import ENGINES, build_engine, candidates

if TYPE_CHECKING:
    from monother_ros.core.bundle import Bundle
    from monother_ros.engines.base import EngineOptions


def engine_choice(bundle: Bundle, options: EngineOptions) -> Section:
    """
    Try the candidates of 'auto' in their order, as the depth node does.

    The engines after the first that works are not built.

    :param bundle: what would be run.
    :param options: device, precision and the rest, as the depth node has them.
    """
    findings = []
    taken = ''
    for candidate in candidates(bundle, options):
        name = candidate.label
        against = candidate.against or ENGINES[candidate.name].missing
        if against:
            findings.append(Finding(name, INFO, against))
            continue
        if taken:
            findings.append(Finding(name, INFO, 'not tried'))
            continue
        try:
            with build_engine(bundle, candidate.name, candidate.options) as engine:
                taken = engine.description
                found = f'would be taken: {engine.description}; {candidate.why}'
            findings.append(Finding(name, OK, found))
        except EngineError as err:
            findings.append(Finding(name, INFO, str(err)))
    if not taken:
        advice = 'pip install onnxruntime; it runs everywhere'
        findings.append(Finding('engine', FAIL, 'none works here', advice))
    return Section(f'Engine of {bundle.name} {bundle.revision}', tuple(findings))
