# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The verb ``monother engine``: plans that TensorRT has compiled on this machine."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monother_ros.core.bundle import find_bundle, load_bundle
from monother_ros.core.errors import EngineError
from monother_ros.engines.onnx_precision import PRECISIONS, typed_onnx
from monother_ros.engines.trt_api import TrtApi, find_trt
from monother_ros.engines.trt_build import BuildSettings, build_plan
from monother_ros.engines.trt_cache import (
    FOLDER_VARIABLE,
    CacheEntry,
    EngineCache,
    Gpu,
    make_key,
)
from monother_ros.engines.trt_plans import verdict_of

if TYPE_CHECKING:
    from monother_ros.core.bundle import Bundle

_SHORT = 12
_MEGA = 1e6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    Declare the options.

    :param parser: of this verb.
    """
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        '--folder', type=Path, metavar='FOLDER',
        help=f'where plans are kept; ${FOLDER_VARIABLE} if not given, else '
        '~/.cache/monother_ros/engines',
    )  # fmt: skip
    shared.add_argument('--json', action='store_true', help='print JSON')
    tasks = parser.add_subparsers(dest='task', metavar='TASK', required=True)

    def task(verb: str, text: str) -> Any:
        return tasks.add_parser(
            verb, parents=[shared], help=text, description=f'{text}.'
        ).add_argument

    add = task('build', 'compile a bundle, or say that it is compiled already')
    add('bundle', metavar='BUNDLE', help='name of a model or folder of its bundle')
    add(
        '--precision', choices=('auto', *PRECISIONS), default='auto',
        help='auto: the fastest that passes the acceptance test on this GPU',
    )  # fmt: skip
    add(
        '--targets', nargs='+', default=[], metavar='CC',
        help='compute capabilities such as 8.6, to compile for other GPUs on a machine without '
        'one (TensorRT for RTX); such a plan is tested where it first runs',
    )  # fmt: skip
    add('--workspace', type=int, default=1024, metavar='MiB', help='scratch memory of a kernel')
    add('--level', type=int, default=3, choices=range(6), help='optimisation level')
    add('--refit', action='store_true', help='let weights be exchanged without a new build')
    add('--version-compatible', action='store_true', help='to run on later versions as well')
    add('--hardware-compatible', action='store_true', help='to run on all GPUs from Ampere on')
    task('list', 'the plans that there are, the one used last first')
    add = task('info', 'everything about one plan')
    add('plan', metavar='PLAN', help='beginning of its name')
    add = task('clean', 'remove plans; without options those that are damaged or half written')
    add('plans', nargs='*', metavar='PLAN', help='beginnings of their names')
    add('--all', action='store_true', help='every plan')
    add('--days', type=float, metavar='N', help='plans that were not used for so long')
    add('--limit', type=float, metavar='GB', help='the oldest ones, until the rest fits')


def run(arguments: argparse.Namespace) -> int:
    """
    Build, list, explain or remove plans.

    :param arguments: parsed options.
    :returns: 0.
    :raises BundleError: the bundle cannot be read.
    :raises EngineError: TensorRT is missing, the build failed, or there is no such plan.
    """
    cache = EngineCache(arguments.folder)
    tasks = {'build': _build, 'list': _list, 'info': _info, 'clean': _clean}
    return tasks[arguments.task](cache, arguments)


def _build(cache: EngineCache, arguments: argparse.Namespace) -> int:
    """Compile, on the GPU at hand with its acceptance test, or ahead for others."""
    bundle = load_bundle(find_bundle(arguments.bundle))
    if not arguments.targets:
        return _build_here(bundle, cache, arguments)
    api = find_trt()
    precision = 'fp16' if arguments.precision == 'auto' else arguments.precision
    results = []
    # a plan for several would hold all of them; one each is what a GPU looks for
    for target in arguments.targets:
        settings = BuildSettings(
            precision=precision,
            workspace=arguments.workspace << 20,
            level=arguments.level,
            refit=arguments.refit,
            version_compatible=arguments.version_compatible,
            hardware_compatible=arguments.hardware_compatible,
            targets=(target,),
        )
        results.append(_build_ahead(bundle, api, settings, cache, quiet=arguments.json))
    if arguments.json:
        print(json.dumps(results, indent=2))
    return 0


def _build_ahead(
    bundle: Bundle, api: TrtApi, settings: BuildSettings, cache: EngineCache, *, quiet: bool
) -> dict[str, Any]:
    """Compile for a GPU that is not here."""
    key = make_key(bundle, api, Gpu(), settings)

    def build() -> bytes:
        say = None if quiet else _progress
        onnx = typed_onnx(bundle, settings.precision)
        return build_plan(api, onnx, settings, cache.timing_path(api, key.gpu), say)

    begin = time.monotonic()
    entry, _, found = cache.obtain(key, build, _notes(bundle))
    seconds = time.monotonic() - begin
    if not quiet:
        how = 'was there already' if found else 'built'
        print(
            f'{entry.path.name[:_SHORT]}: {bundle.name} {bundle.revision} {settings.precision} '
            f'for {key.gpu.capability} by {api.label} {how}, {entry.size / _MEGA:.1f} MB, '
            f'{seconds:.1f} s'
        )
    return {**_as_dict(entry), 'cache_hit': found, 'seconds': round(seconds, 3)}


def _build_here(bundle: Bundle, cache: EngineCache, arguments: argparse.Namespace) -> int:
    """Compile for the GPU at hand as the depth node does, with the test of acceptance."""
    from monother_ros.engines.base import EngineOptions, PlanOptions
    from monother_ros.engines.select import load_engine

    plan = PlanOptions(
        cache=cache.folder,
        workspace=arguments.workspace,
        level=arguments.level,
        refit=arguments.refit,
        version_compatible=arguments.version_compatible,
        hardware_compatible=arguments.hardware_compatible,
    )
    options = EngineOptions(
        device='cuda',
        precision=arguments.precision,
        plan=plan,
        log=None if arguments.json else _say,
    )
    begin = time.monotonic()
    with load_engine(bundle, 'tensorrt', options) as engine:
        description = engine.description
    seconds = time.monotonic() - begin
    entries = cache.entries()
    if not entries:
        msg = f'{description} runs, but {cache.folder} holds no plan of it'
        raise EngineError(msg)
    if arguments.json:
        found = {**_as_dict(entries[0]), 'engine': description, 'seconds': round(seconds, 3)}
        print(json.dumps([found], indent=2))
    else:
        print(f'{entries[0].path.name[:_SHORT]}: {description}, {seconds:.1f} s')
    return 0


def _list(cache: EngineCache, arguments: argparse.Namespace) -> int:
    """Print a table."""
    entries = cache.entries()
    if arguments.json:
        print(json.dumps([_as_dict(entry) for entry in entries], indent=2))
        return 0
    if not entries:
        print(f'{cache.folder}: no plans yet')
        return 0
    rows: list[tuple[str, ...]] = [
        ('plan', 'bundle', 'precision', 'for', 'by', 'MB', 'accepted', 'used')
    ]
    rows += [_row(entry) for entry in entries]
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    for row in rows:
        print('  '.join(text.ljust(w) for text, w in zip(row, widths, strict=True)).rstrip())
    total = sum(entry.size for entry in entries)
    print(f'{cache.folder}: {total / _MEGA:.1f} MB, at most {cache.limit_bytes / _MEGA:.0f} MB')
    return 0


def _row(entry: CacheEntry) -> tuple[str, ...]:
    """One line of the table."""
    gpu, notes = entry.key.get('gpu', {}), entry.notes
    verdict = verdict_of(entry)
    accepted = '-' if verdict is None else 'yes' if verdict['accepted'] else 'NO'
    return (
        entry.path.name[:_SHORT],
        f'{notes.get("name", "?")} {notes.get("revision", "?")}',
        str(entry.key.get('settings', {}).get('precision', '?')),
        ' '.join(part for part in (gpu.get('name'), gpu.get('capability')) if part),
        str(entry.key.get('trt', '?')),
        f'{entry.size / _MEGA:.1f}',
        accepted,
        time.strftime('%Y-%m-%d %H:%M', time.localtime(entry.used)),
    )


def _info(cache: EngineCache, arguments: argparse.Namespace) -> int:
    """Print a record."""
    print(json.dumps(_as_dict(cache.find(arguments.plan)), indent=2))
    return 0


def _clean(cache: EngineCache, arguments: argparse.Namespace) -> int:
    """Remove plans."""
    removed = cache.clean()
    doomed: dict[str, CacheEntry] = {}
    for name in arguments.plans:
        entry = cache.find(name)
        doomed[entry.path.name] = entry
    oldest = None if arguments.days is None else time.time() - 86400 * arguments.days
    for entry in cache.entries():
        if arguments.all or (oldest is not None and entry.used < oldest):
            doomed[entry.path.name] = entry
    for entry in doomed.values():
        cache.remove(entry)
    removed += doomed
    if arguments.limit is not None:
        removed += [entry.path.name for entry in cache.trim(int(arguments.limit * 1e9))]
    if arguments.json:
        print(json.dumps(removed, indent=2))
    else:
        print(f'{cache.folder}: removed {len(removed)}')
        for name in removed:
            print(f'  {name[:_SHORT]}')
    return 0


def _notes(bundle: Bundle) -> dict[str, Any]:
    """What people know a plan by."""
    return {'name': bundle.name, 'revision': bundle.revision}


def _as_dict(entry: CacheEntry) -> dict[str, Any]:
    """An entry for JSON."""
    return {
        'plan': entry.path.name,
        'path': str(entry.path),
        'megabytes': round(entry.size / _MEGA, 3),
        'sha256': entry.sha256,
        'created': entry.created,
        'used': entry.used,
        'notes': entry.notes,
        'key': entry.key,
        'acceptance': entry.acceptance,
    }


def _progress(stage: str, share: float) -> None:
    """Say where a build is."""
    _say(f'building: {stage}, {100 * share:.0f} %')


def _say(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)
