# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Malformed messages and files, counted by entry point and by what came of each.

Every group of entry points runs in a child process with a limit of memory, so that a crash of a
native parser, a hang or an allocation without bounds is found and told with the number of its
input. Each input follows from --seed, the entry and its number, and can be made again alone:

    python bench/fuzz.py --out fuzz.json                    # as in CI
    python bench/fuzz.py --total 100000 --seed 7 --out fuzz.json
    python bench/fuzz.py --entry 'point cloud' --seed 7 --first 1235 --count 1

Right is a MonotherError with a sentence in it, a counted drop, or a result that passes the checks
of the entry (damage need not do harm). Wrong is everything else; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TEST = HERE.parent / 'test'
sys.path[:0] = [str(TEST), str(TEST / 'fuzz'), str(TEST / 'learning')]

from fuzz_harness import run_entry  # noqa: E402

from monother_ros.core.files import atomic_write  # noqa: E402

GROUPS = ('fuzz_messages', 'fuzz_files', 'fuzz_bags', 'fuzz_evaluation', 'fuzz_learning')
"""Modules of test/fuzz with the entry points."""

MEMORY = 3 << 30
"""Bytes that a child may map on top of what it has when its modules are loaded."""

PATIENCE = 60.0
"""Seconds without a new input after which a child is taken for hanging."""

GROWTH_MB, GROWTH_KB_EACH = 24.0, 4.0
"""Growth of memory that caches may take, in all and for each input."""


def parse(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--total', type=int, help='inputs in all; default the number of CI')
    parser.add_argument('--seed', type=int, default=0, help='of every input')
    parser.add_argument('--entry', help='only entries whose name holds this text')
    parser.add_argument('--count', type=int, help='inputs of each entry')
    parser.add_argument('--first', type=int, default=0, help='number of the first input')
    parser.add_argument('--out', type=Path, help='JSON file')
    parser.add_argument('--child', help=argparse.SUPPRESS)
    parser.add_argument('--scale', type=float, default=1.0, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def chosen(group, options):
    """Entries of a group that are asked for."""
    entries = importlib.import_module(group).ENTRIES
    return [entry for entry in entries if not options.entry or options.entry in entry.name]


def child(options):
    """Run one group: a line of JSON per entry; the number of each input goes to a file."""
    entries = chosen(options.child, options)
    mapped = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
    with tempfile.TemporaryDirectory() as folder:
        for entry in entries:
            missing = [name for name in entry.needs if importlib.util.find_spec(name) is None]
            if missing:
                print(json.dumps({'entry': entry.name, 'missing': missing}), flush=True)
                continue
            for name in entry.needs:
                importlib.import_module(name)
            now = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
            mapped = max(mapped, now)
            resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, resource.RLIM_INFINITY))
            place = Path(folder) / entry.name.replace(' ', '-')
            place.mkdir()
            with options.out.open('wb', buffering=0) as handle:

                def progress(index, name=entry.name, handle=handle):
                    handle.seek(0)
                    handle.write(f'{name} #{index}'.ljust(80).encode())

                count = options.count or max(1, round(entry.count * options.scale))
                result = run_entry(entry, place, count, options.seed, options.first, progress)
            print(json.dumps(result), flush=True)


def run_group(group, options, scale):
    """Results of a group's entries, and what ended the child before its end."""
    with tempfile.TemporaryDirectory() as folder:
        mark, output = Path(folder) / 'mark', Path(folder) / 'output'
        mark.write_text('start')
        command = [sys.executable, '-W', 'ignore', __file__, '--child', group, '--out', str(mark)]
        command += ['--seed', str(options.seed), '--first', str(options.first)]
        command += ['--scale', str(scale)]
        command += ['--entry', options.entry] if options.entry else []
        command += ['--count', str(options.count)] if options.count else []
        with output.open('wb') as out, (Path(folder) / 'errors').open('wb') as errors:
            # parsers write what they think of damage to both streams, thousands of lines
            process = subprocess.Popen(command, stdout=out, stderr=errors)
            seen, since, hangs = '', time.monotonic(), False
            while process.poll() is None:
                now = mark.read_text().strip()
                if now != seen:
                    seen, since = now, time.monotonic()
                elif time.monotonic() - since > PATIENCE:
                    hangs = True
                    process.kill()
                try:
                    process.wait(0.2)
                except subprocess.TimeoutExpired:
                    continue
        lines = output.read_text(errors='replace').splitlines()
        results = [json.loads(line) for line in lines if line.startswith('{"entry"')]
        if process.returncode == 0:
            return results, None
        tail = (Path(folder) / 'errors').read_text(errors='replace')[-2000:]
        how = 'hung' if hangs else f'ended with {process.returncode}'
        return results, f'{group} {how} at {mark.read_text().strip()}: {tail}'


def problems(result):
    """What is wrong with the result of an entry, in words."""
    name = result['entry']
    found = []
    if result['failed']:
        found.append(f'{name}: {result["failures by place"]}')
    if result['vague']:
        found.append(f'{name}: errors that say nothing: {result["vague"]}')
    if result['growth of handles'] > 0:
        found.append(f'{name}: {result["growth of handles"]} handles were left open')
    allowed = GROWTH_MB + GROWTH_KB_EACH * result['inputs'] / 1024
    if result['growth of memory [MB]'] > allowed:
        found.append(f'{name}: memory grew by {result["growth of memory [MB]"]} MB')
    return found


def measure(options):
    """Run every group."""
    groups = [group for group in GROUPS if chosen(group, options)]
    usual = sum(entry.count for group in groups for entry in chosen(group, options))
    scale = options.total / usual if options.total else 1.0
    results, wrong = [], []
    begin = time.monotonic()
    for group in groups:
        found, death = run_group(group, options, scale)
        results += found
        wrong += [death] if death else []
    entries = [result for result in results if 'inputs' in result]
    wrong += [text for result in entries for text in problems(result)]
    return {
        'seed': options.seed,
        'inputs': sum(r['inputs'] for r in entries),
        'refused or counted': sum(r['refused'] for r in entries),
        'taken': sum(r['taken'] for r in entries),
        'failed': sum(r['failed'] for r in entries),
        'seconds': round(time.monotonic() - begin, 1),
        'problems': wrong,
        'left out': [r for r in results if 'missing' in r],
        'entries': entries,
    }


def show(report):
    """Print a table."""
    print(f'{"entry":32}{"inputs":>8}{"refused":>9}{"taken":>7}{"failed":>8}{"slowest":>10}')
    for item in report['entries']:
        slowest = f'{item["slowest [ms]"]:.0f} ms'
        print(
            f'{item["entry"]:32}{item["inputs"]:8}{item["refused"]:9}{item["taken"]:7}'
            f'{item["failed"]:8}{slowest:>10}'
        )
    for item in report['left out']:
        print(f'{item["entry"]:32} left out: {", ".join(item["missing"])} not installed')
    print(
        f'{report["inputs"]} inputs, {report["refused or counted"]} refused or counted, '
        f'{report["taken"]} taken, {report["failed"]} failed, {report["seconds"]} s'
    )
    for text in report['problems']:
        print(f'wrong: {text}')


def main():
    """Measure, show and write; 1 where something is wrong."""
    options = parse()
    if options.child:
        child(options)
        return 0
    report = measure(options)
    show(report)
    if options.out:
        atomic_write(options.out, json.dumps(report, indent=2) + '\n')
    return 1 if report['problems'] else 0


if __name__ == '__main__':
    sys.exit(main())
