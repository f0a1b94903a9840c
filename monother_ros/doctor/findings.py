# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Findings of the doctor: one line each, with advice where something is to be done."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

OK, INFO, WARN, FAIL = 'ok', 'info', 'warn', 'fail'

ORDER = (OK, INFO, WARN, FAIL)
"""States, from good to bad; 'info' says what is not there and need not be."""


@dataclass(frozen=True)
class Finding:
    """
    One thing that was looked at.

    :param name: what.
    :param state: one of :data:`ORDER`.
    :param found: what it is, in one line.
    :param advice: what to do; empty for nothing.
    :param values: numbers behind it, as JSON knows them.
    """

    name: str
    state: str
    found: str
    advice: str = ''
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Section:
    """
    Findings of one subject.

    :param title: heading.
    :param findings: in the order in which they are told.
    """

    title: str
    findings: tuple[Finding, ...]

    @property
    def state(self) -> str:
        """The worst state."""
        return worst(finding.state for finding in self.findings)


def worst(states: Any) -> str:
    """
    The worst of some states.

    :param states: of :data:`ORDER`; none of them is 'ok'.
    """
    return max(states, key=ORDER.index, default=OK)


def as_json(sections: list[Section]) -> dict[str, Any]:
    """
    Everything that was found.

    :param sections: in their order.
    """
    return {
        'state': worst(section.state for section in sections),
        'sections': [{**asdict(section), 'state': section.state} for section in sections],
    }


def as_text(sections: list[Section]) -> str:
    """
    Everything that was found, for a terminal or a file.

    :param sections: in their order.
    """
    lines: list[str] = []
    for section in sections:
        lines += ['', section.title]
        width = max((len(item.name) for item in section.findings), default=0)
        for item in section.findings:
            lines.append(f'  {item.state:<4}  {item.name:<{width}}  {item.found}')
            if item.advice:
                lines.append(f'        {"":<{width}}  -> {item.advice}')
    return '\n'.join(lines[1:])
