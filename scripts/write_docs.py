#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Write every file that is generated from the code: tables of docs/ and parameter files of config/.

``python scripts/write_docs.py`` writes them, ``--check`` names those that are out of date and ends
with 1.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from monother_ros.cli.reference import commands_markdown  # noqa: E402
from monother_ros.nodes.interfaces import NODES, markdown  # noqa: E402
from monother_ros.ros.parameter_texts import markdown_text, yaml_text  # noqa: E402


def generated() -> dict[str, str]:
    """Content of each generated file by its path in the repository."""
    files = {'docs/nodes.md': markdown(), 'docs/commands.md': commands_markdown()}
    for node in NODES:
        source = (node.kind, node.name.replace('_', ' '))
        files[f'docs/{node.parameters}'] = markdown_text(*source)
        files[f'config/{node.name.removesuffix("_node")}.yaml'] = yaml_text(*source)
    return files


def main() -> int:
    """Write or check; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--check', action='store_true', help='write nothing, name what is old')
    check = parser.parse_args().check
    old = 0
    for name, text in generated().items():
        file = ROOT / name
        if file.is_file() and file.read_text(encoding='utf-8') == text:
            continue
        old += 1
        if not check:
            file.write_text(text, encoding='utf-8')
        print(f'{name} {"is out of date" if check else "written"}')
    if check and old:
        print('run: python scripts/write_docs.py')
    return int(check and old > 0)


if __name__ == '__main__':
    sys.exit(main())
