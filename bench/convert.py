# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What converting a checkpoint costs and what comes out: time, memory, file sizes, agreement, speed.

Checkpoints are made in the authors' full layout with weights drawn from their names, so sizes and
times are the real ones while depth means nothing. Each conversion is the command `monother
convert` in a process of its own. ONNX Runtime and torch then run in turn in one process.
"""

from __future__ import annotations

import argparse
import array
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from monother_ros.core.files import atomic_write

BRANCH = 'thermal'


def parse(arguments=None):
    """Options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--encoders', default='vits,vitb,vitl')
    parser.add_argument('--precisions', default='fp32,fp16')
    parser.add_argument('--size', default='252x644', metavar='HxW')
    parser.add_argument('--frame', type=Path, help='thermal PNG; made by the command if not given')
    parser.add_argument('--rounds', type=int, default=5, help='paired runs of the two engines')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument(
        '--node', action='store_true', help='also one frame through the depth node'
    )
    parser.add_argument(
        '--folder', type=Path, help='for checkpoints and bundles; default temporary'
    )
    parser.add_argument('--output', type=Path, help='JSON file; standard output without it')
    return parser.parse_args(arguments)


def write_checkpoint(encoder, path):
    """Checkpoint of the whole dual network with weights drawn from their names."""
    import torch

    from monother_ros.networks.checkpoint import official_tensors
    from monother_ros.networks.metric_bins import MetricBinsHead
    from monother_ros.networks.monother import MonoTherConfig
    from monother_ros.networks.named_weights import tensor

    config = MonoTherConfig.preset(encoder)
    head = MetricBinsHead(config.features, config.bins, config.embedding, 1e-3, 80.0)
    kept = {key.rsplit('.', 1)[-1]: value for key, value in head.state_dict().items()}
    kept['num_batches_tracked'] = torch.tensor(0)
    state = {}
    for name, value in official_tensors(config).items():
        leaf = name.rsplit('.', 1)[-1]
        fixed = leaf in ('k_idx', 'K_minus_1', 'num_batches_tracked')
        state[name] = kept[leaf] if fixed else tensor(name, value.shape)
    torch.save({'model': state, 'optimizer': None, 'epoch': 0}, path)
    return len(state)


def convert(checkpoint, bundle, precision, options):
    """Figures of one conversion."""
    figures = bundle.with_suffix('.json')
    command = [sys.executable, '-m', 'monother_ros.cli.main', 'convert', str(checkpoint)]
    command += ['--to', str(bundle), '--size', options.size, '--precision', precision]
    command += ['--threads', str(options.threads), '--json', str(figures)]
    if options.frame:
        command += ['--frame', str(options.frame)]
    environment = {**os.environ, 'OMP_WAIT_POLICY': 'PASSIVE'}
    subprocess.run(command, check=True, env=environment)
    result = json.loads(figures.read_text())
    keep = ('encoder', 'precision', 'size', 'parameters', 'picture', 'seconds', 'seconds in all')
    keep += ('peak memory [MB]', 'files [bytes]', 'difference')
    return {key: result[key] for key in keep}


def race(checkpoint, bundle, options):
    """Seconds per inference of torch and of the engine of the depth node, in turn."""
    import torch

    from monother_ros.core.bundle import load_bundle
    from monother_ros.engines.base import EngineOptions
    from monother_ros.engines.select import load_engine
    from monother_ros.networks.checkpoint import load_branch, read_checkpoint

    torch.set_num_threads(options.threads)
    engine = load_engine(
        load_bundle(bundle), 'onnxruntime', EngineOptions(threads=options.threads)
    )
    spec = engine.bundle.inputs[0]
    example = np.random.default_rng(0).normal(0, 1, spec.shape).astype(spec.dtype)
    branch, _ = load_branch(read_checkpoint(checkpoint), BRANCH)

    def by_torch():
        with torch.inference_mode():
            branch(torch.from_numpy(example))

    def by_engine():
        engine.infer({spec.name: example})

    calls = {'torch': by_torch, 'onnxruntime': by_engine}
    wall, busy = ({name: [] for name in calls} for _ in range(2))
    for turn in range(options.rounds + 1):
        for name in list(calls)[:: (-1) ** turn]:
            begin, used = time.perf_counter(), time.process_time()
            calls[name]()
            if turn:  # the first round allocates
                wall[name].append(time.perf_counter() - begin)
                busy[name].append(time.process_time() - used)
    engine.close()
    return {
        'rounds': options.rounds,
        'wall [s]': {k: round(float(np.median(v)), 3) for k, v in wall.items()},
        'wall, least [s]': {k: round(min(v), 3) for k, v in wall.items()},
        'CPU [s]': {k: round(float(np.median(v)), 3) for k, v in busy.items()},
        'onnxruntime / torch, wall': quartiles(wall),
        'onnxruntime / torch, CPU': quartiles(busy),
    }


def quartiles(times):
    """Ratios of each round: median and quartiles."""
    ratios = np.array(times['onnxruntime']) / np.array(times['torch'])
    low, middle, high = np.percentile(ratios, (25, 50, 75)).round(3).tolist()
    return {'median': middle, 'quartiles': [low, high]}


def through_node(bundle, options):
    """One thermal image through the depth node in a process of its own."""
    import rclpy
    from sensor_msgs.msg import Image

    from monother_ros.ros.messages import set_stamp, stamp_ns
    from monother_ros.ros.transport import use_profile

    use_profile()
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    os.environ['ROS_DOMAIN_ID'] = str(os.getpid() % 90 + 2)
    if options.frame:
        picture = cv2.imread(str(options.frame), cv2.IMREAD_UNCHANGED)
    else:
        from monother_ros.cli.convert import made_picture

        picture = made_picture(BRANCH)[0]
    words = ['-p', f'model:={bundle}', '-p', f'threads:={options.threads}']
    words += ['-p', 'thermal_reliability:=reliable', '-p', 'process_shutter_frames:=true']
    began = time.perf_counter()
    node_command = [sys.executable, '-m', 'monother_ros.nodes.depth_node', '--ros-args', *words]
    child = subprocess.Popen(node_command)
    rclpy.init()
    camera = rclpy.create_node('bench_camera')
    received = []
    camera.create_subscription(Image, 'depth/image_raw', received.append, 10)
    publisher = camera.create_publisher(Image, 'thermal/image_raw', 10)
    image = Image(height=picture.shape[0], width=picture.shape[1], encoding='mono16')
    image.step = 2 * image.width
    image.data = array.array('B', picture.astype(np.uint16).tobytes())
    image.header.frame_id = 'thermal_optical_frame'
    try:
        while not (
            publisher.get_subscription_count() and camera.count_publishers('depth/image_raw')
        ):
            rclpy.spin_once(camera, timeout_sec=0.1)
            if child.poll() is not None or time.perf_counter() - began > 300:
                raise SystemExit('error: the depth node did not come up')
        ready = time.perf_counter() - began
        seconds = []
        for index in range(3):
            set_stamp(image.header, (index + 1) * 1_000_000_000)
            begin, have = time.perf_counter(), len(received)
            publisher.publish(image)
            while len(received) == have:
                rclpy.spin_once(camera, timeout_sec=0.05)
                if time.perf_counter() - begin > 300:
                    raise SystemExit('error: no depth arrived')
            seconds.append(time.perf_counter() - begin)
        depth = np.frombuffer(received[-1].data, np.float32)
        memory = next(
            int(line.split()[1]) / 1024
            for line in Path(f'/proc/{child.pid}/status').read_text().splitlines()
            if line.startswith('VmHWM')
        )
        assert stamp_ns(received[-1]) == 3_000_000_000
        return {
            'start to ready [s]': round(ready, 1),
            'image to depth [s]': [round(s, 3) for s in seconds],
            'image': f'{image.width}x{image.height} mono16',
            'peak memory of the node [MB]': round(memory, 1),
            'depth p5/p50/p95 [m]': np.nanpercentile(depth, (5, 50, 95)).round(2).tolist(),
            'known depth [part]': round(float(np.isfinite(depth).mean()), 4),
        }
    finally:
        child.terminate()
        child.wait(30)
        camera.destroy_node()
        rclpy.try_shutdown()


def measure(options):
    """All figures."""
    results = []
    place = options.folder or Path(tempfile.mkdtemp(prefix='monother-convert-'))
    place.mkdir(parents=True, exist_ok=True)
    try:
        for encoder in options.encoders.split(','):
            checkpoint = place / f'{encoder}.pt'
            entries = write_checkpoint(encoder, checkpoint)
            for precision in options.precisions.split(','):
                bundle = place / f'{encoder}-{precision}'
                result = {
                    'checkpoint [bytes]': checkpoint.stat().st_size,
                    'entries': entries,
                    **convert(checkpoint, bundle, precision, options),
                    'latency': race(checkpoint, bundle, options),
                }
                if options.node:
                    result['depth node'] = through_node(bundle, options)
                results.append(result)
                print(json.dumps(result, indent=2), file=sys.stderr, flush=True)
                shutil.rmtree(bundle)
            checkpoint.unlink()
    finally:
        if options.folder is None:
            shutil.rmtree(place)
    return {
        'machine': f'{platform.processor() or platform.machine()}, {os.cpu_count()} cores',
        'load before and after': os.getloadavg(),
        'weights': 'random, drawn from their names',
        'threads': options.threads,
        'results': results,
    }


def main():
    """Measure and write."""
    options = parse()
    text = json.dumps(measure(options), indent=2) + '\n'
    if options.output:
        atomic_write(options.output, text)
        print(options.output)
    else:
        print(text, end='')


if __name__ == '__main__':
    main()
