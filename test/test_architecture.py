# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Imports go one way, and no file grows without end."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / 'monother_ros'

LAYERS = (
    {'core'},
    {'engines', 'networks', 'ros'},
    {'sim'},
    {'doctor', 'evaluation', 'learning'},
    {'nodes'},
    {'cli'},
)
"""From below to above; a folder imports from its own layer and from those below."""

LEVEL = {folder: level for level, layer in enumerate(LAYERS) for folder in layer}


def imported(file):
    """Folders of the package that a file imports when it runs, at whatever place in it."""
    tree = ast.parse(file.read_text('utf-8'))
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and 'TYPE_CHECKING' in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in for_types or not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        names = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            names = [f'{node.module}.{name}' for name in names]
        for name in names:
            parts = name.split('.')
            if parts[0] == 'monother_ros' and parts[1] in LEVEL:
                yield parts[1]


def test_imports_go_one_way():
    folders = {path.name for path in PACKAGE.iterdir() if (path / '__init__.py').is_file()}
    assert folders == set(LEVEL)
    edges = {
        (file.relative_to(PACKAGE).parts[0], other, file.name)
        for folder in folders
        for file in (PACKAGE / folder).rglob('*.py')
        for other in imported(file)
    }
    assert ('nodes', 'core', 'depth_node.py') in edges
    assert not [edge for edge in edges if LEVEL[edge[1]] > LEVEL[edge[0]]]


def test_no_module_is_longer_than_500_lines():
    lines = {file: len(file.read_text('utf-8').splitlines()) for file in PACKAGE.rglob('*.py')}
    assert len(lines) > 200
    assert not {str(file): count for file, count in lines.items() if count > 500}


def test_no_two_test_files_have_one_name():
    """Without packages in test/ Python would take one for the other, and nothing would run."""
    names = [f.name for f in Path(__file__).parent.rglob('*.py') if f.name != 'conftest.py']
    assert len(names) > 150
    assert not {name for name in names if names.count(name) > 1}
