# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The verb ``monother revisions``: what was learned on this vehicle."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from monother_ros.core.bundle import Bundle
from monother_ros.core.errors import AdaptationError
from monother_ros.engines.base import EngineOptions
from monother_ros.engines.check import check_engine, read_check
from monother_ros.engines.select import load_engine
from monother_ros.learning.revision_export import export_revision, layer_changes
from monother_ros.learning.revisions import (
    FOLDER_VARIABLE,
    RevisionInfo,
    RevisionStore,
    default_folder,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    Declare the options.

    :param parser: of this verb.
    """
    store = argparse.ArgumentParser(add_help=False)
    store.add_argument(
        '--store', type=Path, metavar='FOLDER',
        help=f'folder of the revisions; ${FOLDER_VARIABLE} if not given, else '
        '~/.local/share/monother_ros/revisions',
    )  # fmt: skip
    tasks = parser.add_subparsers(dest='task', metavar='TASK', required=True)
    name = 'its name, its number (a3), base, or current'

    def task(verb: str, text: str) -> Any:
        return tasks.add_parser(
            verb, parents=[store], help=text, description=f'{text}.'
        ).add_argument

    task('list', 'what was learned, and which revision is in use')(
        '--verify', action='store_true', help='read every file and compare its hash'
    )
    task('use', 'run a revision on its stored frames, then put it in use')(
        'revision', metavar='REVISION', help=name
    )
    add = task('diff', 'compare the weights and metrics of two revisions')
    add('first', metavar='A', help=name)
    add('second', metavar='B', help=name)
    add('--count', type=int, default=12, help='layers to show, those that changed most first')
    add = task('export', 'write a revision as a bundle that needs no store')
    add('revision', metavar='REVISION', help=name)
    add('--to', type=Path, required=True, metavar='FOLDER', help='new folder of the bundle')


def run(arguments: argparse.Namespace) -> int:
    """
    List, use, compare or export revisions.

    :param arguments: parsed options.
    :returns: 0; 1 where a listed revision is damaged.
    :raises AdaptationError: see :class:`RevisionStore`.
    :raises BundleError: a revision is damaged.
    :raises EngineError: a revision does not run as it did when it was written.
    """
    store = RevisionStore(arguments.store or default_folder())
    tasks = {'list': _list, 'use': _use, 'diff': _diff, 'export': _export}
    return tasks[arguments.task](store, arguments)


def find(store: RevisionStore, text: str) -> str:
    """
    Name of a revision from what a person types.

    :param store: where it is.
    :param text: its name, a<number>, 'base', or 'current'.
    :raises AdaptationError: there is none, or there are several.
    """
    infos = store.revisions()
    if text == 'current':
        names = [item.name for item in infos if item.current]
    elif text == 'base':
        names = [item.name for item in infos if item.number == 0]
    else:
        names = [i.name for i in infos if text in (i.name, f'a{i.number}')]
    if len(names) == 1:
        return names[0]
    if names:
        msg = f'{text!r} may be any of {", ".join(names)}; give the whole name'
    else:
        known = ', '.join(item.name for item in infos) or 'none'
        msg = f'there is no revision {text!r} in {store.folder}; there are: {known}'
    raise AdaptationError(msg)


def _list(store: RevisionStore, arguments: argparse.Namespace) -> int:
    """Print a table."""
    infos = store.revisions(verify=arguments.verify)
    if not infos:
        print(f'{store.folder}: nothing was learned yet')
        return 0
    rows: list[tuple[str, ...]] = [
        ('', 'revision', 'from', 'written (UTC)', 'gain', 'anchors', 'MB', 'alone', '')
    ]
    rows += [_row(item) for item in infos]
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    for row in rows:
        print('  '.join(text.ljust(w) for text, w in zip(row, widths, strict=True)).rstrip())
    print(
        f'{store.folder}: {_megabytes(store.bytes())} MB. gain: how much the error on held-out '
        'pairs fell; anchors: how much the error where the model came from rose; alone: MB that '
        'no other revision shares.'
    )
    found = store.good()
    if found.reason:
        used = found.bundle.revision if found.bundle else 'none'
        print(f'to be used now: {used}, because {found.reason}')
    return int(any(item.defect for item in infos))


def _row(item: RevisionInfo) -> tuple[str, ...]:
    """One line of the table."""
    note = f'DAMAGED: {item.defect}' if item.defect else ''
    if item.withdrawn:
        note += f'{"; " if note else ""}withdrawn: {item.withdrawn}'
    parent = item.parent or ''
    # of its own family the ending says it all
    short = parent.split('-')[-2] if item.number and parent.count('-') >= 2 else parent
    return (
        '*' if item.current else '',
        item.name,
        short,
        item.written.replace('T', ' ').removesuffix('+00:00'),
        _percent(item.metrics.get('gain')) if item.number else '',
        _percent(item.metrics.get('anchor_change')) if item.number else '',
        _megabytes(item.bytes),
        _megabytes(item.own_bytes),
        note,
    )


def _percent(value: object) -> str:
    """A share, with its sign."""
    return f'{value:+.2%}' if isinstance(value, (int, float)) else ''


def _megabytes(size: int) -> str:
    return f'{size / 1e6:.1f}'


def _use(store: RevisionStore, arguments: argparse.Namespace) -> int:
    """Check a revision on this machine's engine and put it in use."""
    name = find(store, arguments.revision)
    bundle = store.load(name)
    frames = read_check(bundle)
    with load_engine(bundle, options=EngineOptions(warmup=False)) as engine:
        difference = check_engine(engine, frames)
        print(
            f'{name}: {len(frames)} stored frame{"" if len(frames) == 1 else "s"}, depth differs '
            f'by {difference:.3%} ({engine.description})'
        )
    store.use(name)
    print(f'{name} is in use; nodes that watch {store.folder} follow within seconds')
    return 0


def _diff(store: RevisionStore, arguments: argparse.Namespace) -> int:
    """Compare two revisions."""
    bundles = [store.load(find(store, text)) for text in (arguments.first, arguments.second)]
    changes = layer_changes(*bundles)
    first, second = bundles
    print(f'A {first.revision}\nB {second.revision}\n')
    if not changes:
        print('the weights are the same')
    else:
        shown = changes[: max(arguments.count, 0)]
        width = max([len(item.layer) for item in shown], default=5)
        print(f'{"layer":{width}}  change of norm  largest change   values')
        for item in shown:
            print(
                f'{item.layer:{width}}  {item.relative:14.4%}  {item.largest:14.4g}  '
                f'{item.values:7d}'
            )
        print(f'{len(changes)} layer{" differs" if len(changes) == 1 else "s differ"}\n')
    for key, before, after in _metrics(first, second):
        print(f'{key}: {before} -> {after}')
    return 0


def _metrics(first: Bundle, second: Bundle) -> list[tuple[str, str, str]]:
    """Metrics of two bundles side by side, nested ones by their path."""
    flat = [_flat(bundle.metrics) for bundle in (first, second)]
    return [(key, flat[0].get(key, '-'), flat[1].get(key, '-')) for key in {**flat[0], **flat[1]}]


def _flat(values: dict[str, Any], prefix: str = '') -> dict[str, str]:
    """Nested metrics as texts by their path."""
    found: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= _flat(value, f'{prefix}{key}.')
        else:
            found[prefix + key] = f'{value:.5g}' if isinstance(value, float) else str(value)
    return found


def _export(store: RevisionStore, arguments: argparse.Namespace) -> int:
    """Write a bundle that needs no store."""
    bundle = export_revision(store.load(find(store, arguments.revision)), arguments.to)
    size = sum(item.stat().st_size for item in bundle.path.iterdir())
    print(f'{bundle.path}: {bundle.name} {bundle.revision}, {_megabytes(size)} MB')
    print(f'ros2 launch monother_ros depth.launch.py model:={bundle.path.absolute()}')
    return 0
