# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters as a YAML file and as a table, from the dataclass that declares them."""

from __future__ import annotations

from typing import Any

from monother_ros.ros.parameters import RESTART, defaults, specs


def _yaml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f'[{", ".join(_yaml_value(v) for v in value)}]'
    return f"'{value}'" if isinstance(value, str) else str(value)


def yaml_text() -> str:
    """Content of config/depth.yaml: every parameter with its default and a comment."""
    lines = [
        '# SPDX-FileCopyrightText: 2026 monother_ros authors',
        '# SPDX-License-Identifier: Apache-2.0',
        '#',
        '# Parameters of the depth node, all at their defaults.',
        '# Printed by: python -m monother_ros.ros.parameters yaml',
        '',
        '/**:',
        '  ros__parameters:',
    ]
    for name, value in defaults().items():
        spec = specs()[name]
        allowed = f' Allowed: {spec.allowed}.' if spec.allowed else ''
        text = f'{spec.description}{allowed} Change: {spec.change}.'
        lines += ['', *_wrapped(text, 92), f'    {name}: {_yaml_value(value)}']
    return '\n'.join(lines) + '\n'


def _wrapped(text: str, width: int) -> list[str]:
    lines, line = [], ''
    for word in text.split():
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f'{line} {word}' if line else word
    return [f'    # {part}' for part in (*lines, line)]


def markdown_text() -> str:
    """Content of docs/parameters.md: one table of all parameters."""
    lines = [
        '# Parameters of the depth node',
        '',
        'Printed by `python -m monother_ros.ros.parameters`; the source is the dataclass there. '
        f"A parameter that changes 'when configured' {RESTART}.",
        '',
        '| Parameter | Type | Default | Allowed | Change | Meaning |',
        '|---|---|---|---|---|---|',
    ]
    for name, value in defaults().items():
        spec = specs()[name]
        kind = 'list of float' if isinstance(value, list) else type(value).__name__
        description = spec.description.replace('|', '\\|')
        lines.append(
            f'| `{name}` | {kind} | `{_yaml_value(value)}` | {spec.allowed} '
            f'| {spec.change} | {description} |'
        )
    return '\n'.join(lines) + '\n'
