# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters as a YAML file and as a table, from the dataclass that declares them."""

from __future__ import annotations

from typing import Any

from monother_ros.ros.parameter_specs import RESTART, NodeParameters, defaults, specs


def _yaml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f'[{", ".join(_yaml_value(v) for v in value)}]'
    return f"'{value}'" if isinstance(value, str) else str(value)


def yaml_text(kind: type[NodeParameters], node: str) -> str:
    """
    Content of a parameter file: every parameter with its default and a comment.

    :param kind: the node's parameters.
    :param node: the node in words, e.g. 'depth node'.
    """
    lines = [
        '# SPDX-FileCopyrightText: 2026 monother_ros authors',
        '# SPDX-License-Identifier: Apache-2.0',
        '#',
        f'# Parameters of the {node}, all at their defaults.',
        f'# Written by python scripts/write_docs.py from {kind.__module__}.',
        '',
        '/**:',
        '  ros__parameters:',
    ]
    known = specs(kind)
    for name, value in defaults(kind).items():
        spec = known[name]
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


def markdown_text(kind: type[NodeParameters], node: str) -> str:
    """Content of a page of docs: one table of all parameters; arguments as :func:`yaml_text`."""
    lines = [
        f'# Parameters of the {node}',
        '',
        f'Written by `python scripts/write_docs.py`; the source is `{kind.__module__}`. '
        f"A parameter that changes 'when configured' {RESTART}.",
        '',
        '| Parameter | Type | Default | Allowed | Change | Meaning |',
        '|---|---|---|---|---|---|',
    ]
    known = specs(kind)
    for name, value in defaults(kind).items():
        spec = known[name]
        type_name = 'list of float' if isinstance(value, list) else type(value).__name__
        description = spec.description.replace('|', '\\|')
        lines.append(
            f'| `{name}` | {type_name} | `{_yaml_value(value)}` | {spec.allowed} '
            f'| {spec.change} | {description} |'
        )
    return '\n'.join(lines) + '\n'
