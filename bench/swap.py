# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What hot swaps of revisions cost: frames lost, longest gap, latency, over real DDS.

This process is the camera (640x512 mono16) and receives the depth; the depth node is a process of
its own. Blocks without and with swaps take turns, rate by rate; in a block with swaps another
revision is put on the topic `revision` every two seconds. Each revision replaces every weight of
the network, and scales its depth by a factor of its own, so that each frame tells which revision
made it: the factor must be one for all pixels of a frame.

    python bench/swap.py --rates 10,20,30 --swaps 20 --output swap.json
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from latency import Camera, cpu_seconds, difference, memory, percentiles, write_result

from monother_ros.core.bundle import Bundle, find_bundle, load_bundle, write_bundle
from monother_ros.core.initialisers import current_values
from monother_ros.engines.base import EngineOptions
from monother_ros.engines.check import CheckFrame, read_check
from monother_ros.engines.onnxruntime import OnnxRuntimeEngine
from monother_ros.learning.revisions import RevisionStore
from monother_ros.ros.qos import latched_profile
from monother_ros.ros.transport import describe_transport, use_profile

FACTORS = (1.0, 1.12, 0.89, 1.25, 0.8)
"""Factor of the depth of each revision; the first is the model as it came."""

SCALE = 'bench.scale'
SPREAD = 0.04
"""Largest deviation of the ratio of a frame from its factor, as the 2nd and 98th percentile over
the pixels. Neighbouring factors are 10 % apart."""

SETTLE = 3.0
"""Seconds of images before the first block, and at least this long for the reference depth."""


def parse(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--rates', default='10,20,30', help='image rates in Hz')
    parser.add_argument('--swaps', type=int, default=20, help='swaps per rate')
    parser.add_argument('--every', type=float, default=2.0, help='seconds between two swaps')
    parser.add_argument('--blocks', type=int, default=2, help='blocks of each kind per rate')
    parser.add_argument('--size', default='640x512', help='width x height of the images')
    parser.add_argument('--model', default='lite', help='model bundle: name or folder')
    parser.add_argument('--threads', type=int, default=0, help='of the engine; 0 as it comes')
    parser.add_argument('--reliability', default='best_effort', help='of images and depth')
    parser.add_argument('--output', type=Path, help='JSON file; standard output without it')
    options = parser.parse_args(arguments)
    options.points = False
    return options


def scaled_model(source: Bundle, folder: Path) -> Bundle:
    """The model with one more multiplication of its depth, by an initialiser."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(str(source.model_path))
    name = source.outputs['depth']
    for node in model.graph.node:
        for i, output in enumerate(node.output):
            if output == name:
                node.output[i] = f'{name}.unscaled'
    model.graph.node.append(helper.make_node('Mul', [f'{name}.unscaled', SCALE], [name]))
    model.graph.initializer.append(numpy_helper.from_array(np.ones(1, np.float32), SCALE))
    return write_bundle(
        folder,
        model=model.SerializeToString(),
        name=source.name,
        revision='bench',
        inputs=source.inputs,
        normalisation=source.normalisation,
        depth_range=source.depth_range,
        outputs=source.outputs,
        focal_length=source.focal_length,
    )


def fill(folder: Path, base: Bundle) -> list[str]:
    """Write one revision per factor; returns their names, the base first."""
    with RevisionStore(folder, limit=len(FACTORS) + 2) as store:
        first = store.write_base(base)
        names = [first.revision]
        frame = read_check(first)[0]
        with OnnxRuntimeEngine(first, EngineOptions(threads=1)) as engine:
            said = engine.infer({base.inputs[0].name: frame.inputs})
        weights = current_values(first)
        for factor in FACTORS[1:]:
            # every weight is another one, as after an optimiser step
            values = {k: (v * np.float32(1 + 1e-5)).astype(v.dtype) for k, v in weights.items()}
            values[SCALE] = np.full(1, factor, np.float32)
            check = CheckFrame(frame.inputs, factor * said['depth'], said.get('confidence'))
            written = store.write(
                first, values, weights=None, metrics={}, training={}, check=check
            )
            names.append(written.revision)
    return names


class SwapCamera(Camera):
    """Publishes images and names of revisions; keeps a thinned picture of each depth image."""

    def __init__(self, options):
        """See the class."""
        super().__init__(options)
        from std_msgs.msg import String

        self._string = String
        self._newest = self.node.create_publisher(String, 'revision', latched_profile())
        self.pictures: dict[int, int] = {}
        self.thin: dict[int, np.ndarray] = {}

    def _on_depth(self, message):
        key = self._key(message)
        self.depth[key] = time.time_ns()
        image = np.frombuffer(message.data, np.float32).reshape(message.height, message.width)
        self.thin[key] = image[8::16, 8::16].copy()

    def publish(self):
        """Publish the next image with the time of now; remembers which picture it was."""
        picture = self._count % len(self._frames)
        super().publish()
        self.pictures[next(reversed(self.sent))] = picture

    def name(self, revision):
        """Put a revision on the topic."""
        self._newest.publish(self._string(data=revision))

    def run(self, rate, seconds, each=None):
        """Publish at a rate; `each` is called with the time since the start before each image."""
        start = time.monotonic()
        for i in range(round(seconds * rate)):
            time.sleep(max(0.0, start + i / rate - time.monotonic()))
            if each is not None:
                each(time.monotonic() - start)
            self.publish()
        time.sleep(1.0 / rate)

    def clear(self):
        """Forget what was sent and received."""
        for kept in (self.sent, self.depth, self.thin, self.pictures):
            kept.clear()


def gaps(arrivals):
    """Milliseconds between successive depth images."""
    return np.diff(np.sort(np.asarray(arrivals, np.float64))) * 1e-6


def made_by(camera, reference, stamp):
    """Factor of a frame and how far its pixels are from it; None without a reference."""
    base = reference.get(camera.pictures[stamp])
    if base is None:
        return None
    ratio = camera.thin[stamp] / base
    ratio = ratio[np.isfinite(ratio)]
    factor = min(FACTORS, key=lambda f: abs(f - float(np.median(ratio))))
    low, high = np.percentile(ratio, (2, 98))
    return factor, max(abs(low / factor - 1), abs(high / factor - 1))


def block(camera, options, rate, names, reference, swapping):
    """One block of images; its raw figures."""
    order = [k % (len(names) - 1) + 1 for k in range(options.swaps)]
    per_block = max(1, options.swaps // options.blocks)
    asked: list[int] = []

    def swap(elapsed):
        if swapping and len(asked) < per_block and elapsed >= options.every * (len(asked) + 0.5):
            asked.append(order[(block.done + len(asked)) % len(order)])
            camera.name(names[asked[-1]])

    before = camera.settled_counters()
    camera.clear()
    camera.run(rate, per_block * options.every + options.every, swap)
    after = camera.settled_counters()
    if swapping:
        block.done += len(asked)
    sent = sorted(camera.sent)
    arrived = [s for s in sent if s in camera.depth]
    judged = [made_by(camera, reference, s) for s in arrived]
    known = [item for item in judged if item is not None]
    runs = [f for i, (f, _) in enumerate(known) if i == 0 or f != known[i - 1][0]]
    reached = difference(before, after, 'thermal input/received')
    return {
        'rate': rate,
        'swapping': swapping,
        'sent': len(sent),
        'reached': reached,
        'received': len(arrived),
        'latency': [(camera.depth[s] - s) * 1e-6 for s in arrived],
        'gaps': gaps([camera.depth[s] for s in arrived]).tolist(),
        'swaps': difference(before, after, 'revision/swaps'),
        'refused': difference(before, after, 'revision/refused'),
        'replaced': difference(before, after, 'depth/dropped: replaced by a newer image'),
        'asked': len(asked),
        'in order': [FACTORS[k] for k in asked] == (runs[1:] if len(runs) > len(asked) else runs),
        'mixed': int(sum(spread > SPREAD for _, spread in known)),
        'spread': float(max((spread for _, spread in known), default=0.0)),
        'judged': len(known),
        'load': float(after.get('revision/last load [s]', 'nan')),
    }


def together(blocks):
    """Figures of blocks of one kind at one rate."""
    latency = np.concatenate([b['latency'] for b in blocks])
    gap = np.concatenate([b['gaps'] for b in blocks])
    sent = sum(b['sent'] for b in blocks)
    return {
        'images': sent,
        'frames lost': sent - sum(b['received'] for b in blocks),
        'lost on the way to the node': sent - sum(b['reached'] for b in blocks),
        'replaced by a newer image in the node': sum(b['replaced'] for b in blocks),
        'longest gap between frames [ms]': round(float(gap.max()), 2),
        'gap p99 [ms]': round(float(np.percentile(gap, 99)), 2),
        'sensor to depth [ms]': percentiles(latency),
        'swaps': sum(b['swaps'] for b in blocks),
        'refused': sum(b['refused'] for b in blocks),
        'frames of two revisions': sum(b['mixed'] for b in blocks),
        'frames judged': sum(b['judged'] for b in blocks),
        'largest spread within a frame': round(max(b['spread'] for b in blocks), 4),
        'revisions in the order asked for': all(b['in order'] for b in blocks),
    }


def start_node(options, model, folder):
    """The depth node as a child process."""
    arguments = {
        'model': model,
        'revisions': folder,
        'threads': options.threads,
        'thermal_reliability': options.reliability,
        'depth_reliability': options.reliability,
        'diagnostics_period': '0.2',
    }
    command = [sys.executable, '-m', 'monother_ros.nodes.depth_node', '--ros-args']
    for name, value in arguments.items():
        command += ['-p', f'{name}:={value}']
    return subprocess.Popen([*command, '--log-level', 'warn'])


def references(camera, rate):
    """Depth of each picture by the model as it came, in the steady state of its normalisation."""
    camera.run(rate, SETTLE)
    camera.clear()
    camera.run(rate, max(SETTLE, 40 / rate))
    time.sleep(0.3)
    found: dict[int, list] = {}
    for stamp, image in camera.thin.items():
        if stamp in camera.pictures:
            found.setdefault(camera.pictures[stamp], []).append(image)
    return {picture: np.median(images, axis=0) for picture, images in found.items()}


def measure(options, work):
    """Run node and camera, and return the figures."""
    use_profile()
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    os.environ['ROS_DOMAIN_ID'] = str(os.getpid() % 90 + 2)
    base = scaled_model(load_bundle(find_bundle(options.model)), work / 'model')
    names = fill(work / 'revisions', base)
    child = start_node(options, base.path, work / 'revisions')
    camera = None
    try:
        camera = SwapCamera(options)
        rates = [float(r) for r in options.rates.split(',')]
        began = time.monotonic()
        while not camera.depth:
            if child.poll() is not None or time.monotonic() - began > 60:
                raise SystemExit(f'error: no depth arrived; diagnostics: {camera.counters}')
            camera.run(rates[0], 0.5)
        figures, used, all_blocks = {}, cpu_seconds(child.pid), []
        for rate in rates:
            camera.name(names[0])
            reference = references(camera, rate)
            block.done = 0
            blocks = []
            for _ in range(options.blocks):
                for swapping in (False, True):
                    blocks.append(block(camera, options, rate, names, reference, swapping))
                    if swapping:
                        camera.name(names[0])
                        camera.run(rate, 1.0)
            all_blocks += blocks
            figures[f'{rate:g} Hz'] = {
                kind: together([b for b in blocks if b['swapping'] == flag])
                for kind, flag in (('without swaps', False), ('with swaps', True))
            }
        loads = [b['load'] for b in all_blocks if b['swapping']]
        counters = camera.settled_counters()
        return {
            'machine': f'{platform.processor() or platform.machine()}, {os.cpu_count()} cores',
            'transport': describe_transport(),
            'reliability': options.reliability,
            'engine': counters.get('engine/description'),
            'model': options.model,
            'image': f'{options.size} mono16',
            'swap every [s]': options.every,
            'blocks of each kind per rate': options.blocks,
            'rates': figures,
            'load of a revision, last of each block [ms]': [round(1e3 * v, 1) for v in loads],
            "node's own longest gap around swaps [ms]": counters.get(
                'revision/longest gap between frames around swaps [ms]'
            ),
            'CPU of the node [s]': round(cpu_seconds(child.pid) - used, 1),
            'memory of the node at the end [MB]': memory(child.pid),
        }
    finally:
        if camera is not None:
            camera.close()
        child.send_signal(signal.SIGINT)
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()


def main():
    """Measure and write."""
    options = parse()
    with tempfile.TemporaryDirectory(prefix='swap.') as work:
        result = measure(options, Path(work))
    write_result(result, options.output)


if __name__ == '__main__':
    main()
