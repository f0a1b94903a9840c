# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Time of one frame from message to published message, against the textbook way of Python nodes.

Two publishing processes, each with a subscriber in a process of its own, take turns frame by
frame: 'ours' (the pipeline, messages filled in place, the Fast DDS profile with a large shared
memory segment) and 'textbook' (numpy.percentile, msg.data from bytes, list or ndarray, a cloud
packed point by point, the default transport). Both run the same engine on the same frames; its
time is reported and left out of the comparison.

    python bench/pipeline.py --out pipeline.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pipeline_ways import run_publisher, run_subscriber, summary

HERE = Path(__file__).resolve().parent
PROFILE = """<?xml version="1.0" encoding="UTF-8"?>
<dds xmlns="http://www.eprosima.com">
  <profiles>
    <transport_descriptors>
      <transport_descriptor>
        <transport_id>shm</transport_id>
        <type>SHM</type>
        <segment_size>67108864</segment_size>
        <maxMessageSize>16777216</maxMessageSize>
      </transport_descriptor>
      <transport_descriptor>
        <transport_id>udp</transport_id>
        <type>UDPv4</type>
      </transport_descriptor>
    </transport_descriptors>
    <participant profile_name="large_images" is_default_profile="true">
      <rtps>
        <userTransports>
          <transport_id>shm</transport_id>
          <transport_id>udp</transport_id>
        </userTransports>
        <useBuiltinTransports>false</useBuiltinTransports>
      </rtps>
    </participant>
  </profiles>
</dds>
"""
VARIANTS = ('bytes', 'list', 'ndarray')


class Worker:
    """A child process that is spoken to in JSON lines."""

    def __init__(self, role: str, prefix: str, env: dict[str, str], arguments: list[str]) -> None:
        """Start it."""
        command = [sys.executable, str(HERE / 'pipeline.py'), '--role', role, '--prefix', prefix]
        self.process = subprocess.Popen(
            [*command, *arguments],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def read(self) -> Any:
        """Next answer."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f'a worker ended with {self.process.wait()}')
        return json.loads(line)

    def ask(self, task: Any) -> Any:
        """Send a task and wait for the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(task) + '\n')
        self.process.stdin.flush()
        return self.read()

    def stop(self) -> None:
        """End it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()


def idle_share(seconds: float) -> float:
    """Idle part of all cores during some seconds; 1 where the system does not say."""

    def counters() -> tuple[int, int]:
        numbers = [int(v) for v in Path('/proc/stat').read_text().split('\n')[0].split()[1:]]
        return sum(numbers), numbers[3] + numbers[4]

    try:
        before = counters()
        time.sleep(seconds)
        after = counters()
    except OSError:
        return 1.0
    return (after[1] - before[1]) / max(1, after[0] - before[0])


def wait_until_quiet(limit: float) -> None:
    """Wait until the machine does nothing else, at most some seconds."""
    end = time.monotonic() + limit
    while limit > 0 and time.monotonic() < end and idle_share(0.05) < 0.9:
        pass


def measure(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Run both ways, frame by frame in turn."""
    profile = HERE.parent / 'config' / 'fastdds.xml'
    if not profile.is_file():
        profile = work / 'fastdds.xml'
        profile.write_text(PROFILE)
    base = {k: v for k, v in os.environ.items() if 'DEFAULT_PROFILES_FILE' not in k}
    base |= {
        'ROS_DOMAIN_ID': str(options.domain),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
    }
    # the older name is that of Fast DDS 2 (Humble, Jazzy)
    old = os.environ.get('ROS_DISTRO') in ('humble', 'iron', 'jazzy')
    variable = 'FASTRTPS_DEFAULT_PROFILES_FILE' if old else 'FASTDDS_DEFAULT_PROFILES_FILE'
    environments = {
        'ours': base | {variable: str(profile)},
        'textbook': base,
    }
    bundle, where = find_model(options.bundle, work)
    arguments = ['--bundle', bundle, '--seed', str(options.seed), '--frames', str(options.frames)]
    subscribers = {k: Worker('subscriber', k, env, []) for k, env in environments.items()}
    publishers = {k: Worker('publisher', k, env, arguments) for k, env in environments.items()}
    engine = {k: worker.read()['engine'] for k, worker in publishers.items()}['ours']
    times: dict[str, dict[str, list[float]]] = {}
    for cloud in (False, True):
        slow = options.textbook_cloud_frames if cloud else options.textbook_frames
        for number in range(-options.warmup, options.frames):
            ours = {'cloud': cloud}
            tasks = [('ours', 'ours', ours)]
            every = max(1, options.frames // slow)
            if number < 0 or number % every == 0:
                variants = VARIANTS if number >= 0 else VARIANTS[:1]
                if number >= 0 or number >= -2:
                    tasks += [
                        ('textbook', f'textbook {name}', {'cloud': cloud, 'variant': name})
                        for name in variants
                    ]
            wait_until_quiet(options.wait_quiet if number >= 0 else 0)
            for worker, name, task in tasks:
                stages = publishers[worker].ask(task)
                time.sleep(options.gap)
                if number >= 0:
                    stages['without_engine'] = stages['total'] - stages['engine']
                    key = f'{name}, cloud' if cloud else name
                    table = times.setdefault(key, {})
                    for stage, seconds in stages.items():
                        table.setdefault(stage, []).append(seconds)
    delivered = {}
    for name, worker in subscribers.items():
        delivered[name] = worker.ask('end')
    for worker in (*publishers.values(), *subscribers.values()):
        worker.stop()
    results = {k: {s: summary(v) for s, v in stages.items()} for k, stages in times.items()}
    ratios = {}
    for cloud in ('', ', cloud'):
        own = results[f'ours{cloud}']['without_engine']['median_ms']
        for name in VARIANTS:
            key = f'textbook {name}{cloud}'
            ratios[key] = round(results[key]['without_engine']['median_ms'] / own, 1)
    import onnxruntime

    return {
        'what': '640x512 mono16, message to published message',
        'machine': {
            'cpu': platform.processor() or platform.machine(),
            'cores': os.cpu_count(),
            'load': os.getloadavg(),
        },
        'versions': {
            'python': platform.python_version(),
            'numpy': np.__version__,
            'opencv': cv2.__version__,
            'onnxruntime': onnxruntime.__version__,
        },
        'options': {k: v for k, v in vars(options).items() if k not in ('role', 'out')},
        'bundle': where,
        'engine': engine,
        'stages': results,
        'ratio_without_engine': ratios,
        'delivered': delivered,
    }


def find_model(name: str, work: Path) -> tuple[str, str]:
    """Folder of the bundle, or of a tiny network made for this run, and a word about it."""
    from monother_ros.core.bundle import find_bundle
    from monother_ros.core.errors import BundleError

    try:
        return str(find_bundle(name)), name
    except BundleError:
        sys.path.insert(0, str(HERE.parent / 'test'))
        from bundles import make_bundle

        make_bundle(work / 'tiny')
        return str(work / 'tiny'), f'a tiny network, as {name!r} is not here'


def show(report: dict[str, Any]) -> None:
    """Print the medians."""
    print(f'{report["what"]}; {report["engine"]}; model: {report["bundle"]}')
    for name, stages in report['stages'].items():
        line = '  '.join(
            f'{stage} {value["median_ms"]:.2f}'
            for stage, value in stages.items()
            if stage not in ('total', 'without_engine')
        )
        whole = stages['without_engine']
        print(
            f'{name:24s} without engine {whole["median_ms"]:8.2f} ms'
            f' (p95 {whole["p95_ms"]:.2f})  | {line}'
        )
    print('ratio to ours:', report['ratio_without_engine'])
    for name, topics in report['delivered'].items():
        print(f'{name} heard:', {t: (v['n'], v['median_ms']) for t, v in topics.items()})


def main() -> None:
    """Run the benchmark, or one of its worker processes."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--frames', type=int, default=100, help='measured frames of our way')
    parser.add_argument('--textbook-frames', type=int, default=20)
    parser.add_argument('--textbook-cloud-frames', type=int, default=5)
    parser.add_argument('--warmup', type=int, default=10)
    parser.add_argument('--gap', type=float, default=0.02, help='seconds between frames')
    parser.add_argument(
        '--wait-quiet',
        type=float,
        default=0.0,
        help='seconds to wait at most before each frame until other programs rest',
    )
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--bundle', default='lite', help='name or folder of a model bundle')
    parser.add_argument('--domain', type=int, default=87, help='ROS domain of this run')
    parser.add_argument('--out', type=Path, help='JSON file to write')
    parser.add_argument('--role', help=argparse.SUPPRESS)
    parser.add_argument('--prefix', help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role == 'subscriber':
        run_subscriber(options.prefix)
        return
    if options.role == 'publisher':
        run_publisher(options.prefix, options.bundle, options.frames, options.seed)
        return
    del options.prefix
    with tempfile.TemporaryDirectory() as work:
        report = measure(options, Path(work))
    show(report)
    if options.out:
        from monother_ros.core.files import atomic_write

        atomic_write(options.out, json.dumps(report, indent=1, default=str) + '\n')


if __name__ == '__main__':
    main()
