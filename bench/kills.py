# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
SIGKILLs of the adapt node and of the depth node at random moments, over real DDS.

This process is a rig of two cameras in front of a wall that slides by. The adapt node learns on a
tiny student and writes revisions and pairs all the time; the depth node takes the revisions over.
Each is a process of its own. First the adapt node is killed again and again, some of the kills
aimed at the moment in which a revision is being written, the others at any moment after its first
step; then the depth node. Every other life of the adapt node begins with its service `reset`, so
that there is always something to gain, and revisions to write.

After each kill of the adapt node: the store opens, the revision in use is the one that was put in
use, every revision that has a name is whole, the one in use computes what it should, the memory of
pairs and the state of learning open, and depth went on. After each kill of the depth node: it
starts with the revision in use, and refuses nothing.

    python bench/kills.py --adapt 100 --depth 20 --output kills.json
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

TEST = Path(__file__).resolve().parent.parent / 'test'
sys.path.insert(0, str(TEST))

from adapt_rig import POSE, AdaptRig, make_models  # noqa: E402
from latency import write_result  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402

from monother_ros.engines.base import EngineOptions  # noqa: E402
from monother_ros.engines.check import check_engine, read_check  # noqa: E402
from monother_ros.engines.onnxruntime import OnnxRuntimeEngine  # noqa: E402
from monother_ros.learning.replay import ReplayBuffer  # noqa: E402
from monother_ros.learning.revision_files import read_current  # noqa: E402
from monother_ros.learning.revisions import RevisionStore  # noqa: E402
from monother_ros.ros.messages import stamp_ns  # noqa: E402

RATE = 15.0
"""Pairs of images per second."""

REPLAY_MB, HELD_OUT_MB = 2, 1
LEARNING = {
    'replay_mb': REPLAY_MB,
    'held_out_mb': HELD_OUT_MB,
    'revisions_kept': 6,
    'save_seconds': 0.3,
    'consider_steps': 4,
    'batch': 1,
    'held_out_every': 2,
    'guard_confidence': 0.51,
    'learning_rate': 1e-3,
    'diagnostics_period': 0.2,
}
"""Parameters with which revisions, pairs and states are written all the time."""

START_TIMEOUT = 120.0
AIMING = 4.0
"""Seconds that an aimed kill waits for a revision to be written."""


def parse(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    add = parser.add_argument
    add('--adapt', type=int, default=100, help='kills of the adapt node')
    add('--depth', type=int, default=20, help='kills of the depth node')
    add('--least', type=float, default=0.0, help='least seconds from the first step to the kill')
    add('--most', type=float, default=1.5, help='most seconds from the first step to the kill')
    add('--aimed', type=float, default=0.5, help='share of kills while a revision is written')
    add('--seed', type=int, default=0, help='of the moments')
    add('--work', type=Path, help='folder for everything that is written; kept')
    add('--output', type=Path, help='JSON file; standard output without it')
    return parser.parse_args(arguments)


class Rig(threading.Thread):
    """Publishes pairs at a steady rate in a thread and notes the depth that comes back."""

    def __init__(self, models, folder):
        """See the class."""
        super().__init__(daemon=True)
        self.rig = AdaptRig(models, folder, with_node=False, **LEARNING, memory=str(folder / 'm'))
        self.health: dict[tuple[str, str], dict[str, str]] = {}
        self.sent: dict[int, float] = {}
        self.depth: dict[int, float] = {}
        self.last_depth = 0.0
        self._ended = threading.Event()
        listener, rig = self.rig.listener, self.rig
        listener.create_subscription(Image, 'depth/image_raw', self._on_depth, 20)
        rig._on_health = self._on_health
        from diagnostic_msgs.msg import DiagnosticArray

        listener.create_subscription(DiagnosticArray, '/diagnostics', self._on_health, 20)
        from std_srvs.srv import Trigger

        self._reset = listener.create_client(Trigger, 'adapt_node/reset')

    def _on_depth(self, message):
        self.last_depth = time.monotonic()
        self.depth[stamp_ns(message)] = self.last_depth

    def _on_health(self, message):
        for status in message.status:
            node, _, part = status.name.rpartition(': ')
            values = {v.key: v.value for v in status.values}
            values['message'], values['at'] = status.message, time.monotonic()
            self.health[node, part] = values

    def run(self):
        """Publish and spin until :meth:`end`."""
        due = time.monotonic()
        while not self._ended.is_set():
            if time.monotonic() >= due:
                due = max(due + 1 / RATE, time.monotonic() - 1.0)
                self.rig.shoot()
                self.sent[self.rig.stamp] = time.monotonic()
            self.rig.executor.spin_once(timeout_sec=max(0.0, due - time.monotonic()))

    def value(self, node, part, key, after=0.0):
        """A value of diagnostics that came after an instant, or None."""
        found = self.health.get((node, part), {})
        return found.get(key) if found.get('at', -1.0) > after else None

    def reset(self, seconds=10.0):
        """Have the adapt node begin anew; False where it does not answer."""
        from std_srvs.srv import Trigger

        until = time.monotonic() + seconds
        while not self._reset.service_is_ready() and time.monotonic() < until:
            time.sleep(0.01)
        answer = self._reset.call_async(Trigger.Request())
        while not answer.done() and time.monotonic() < until:
            time.sleep(0.01)
        return answer.done() and answer.result().success

    def end(self):
        """Stop publishing and leave the graph."""
        self._ended.set()
        self.join()
        self.rig.close()


def start(module, parameters, log, level='info'):
    """A node as a child process that writes its output to a file."""
    command = [sys.executable, '-m', f'monother_ros.nodes.{module}', '--ros-args']
    for name, value in parameters.items():
        # an empty text would be read as null
        text = "''" if value == '' else str(value).lower() if value in (True, False) else value
        command += ['-p', f'{name}:={text}']
    with log.open('ab') as handle:
        return subprocess.Popen(
            [*command, '--log-level', level], stdout=handle, stderr=subprocess.STDOUT
        )


def kill(child):
    """SIGKILL, and wait until the process is gone."""
    child.send_signal(signal.SIGKILL)
    child.wait()


class Trial:
    """
    Processes, folders and what has been found so far.

    :param options: command line.
    :param work: folder.
    """

    def __init__(self, options, work):
        """See the class."""
        self.options = options
        self.work = work
        self.models = make_models(work / 'models')
        self.revisions = work / 'revisions'
        self.memory = work / 'm'
        self.random = random.Random(options.seed)
        self.rig = Rig(self.models, work)
        self.adapt: subprocess.Popen | None = None
        self.depth: subprocess.Popen | None = None
        self.problems: list[str] = []
        self.seen: set[str] = set()
        self.writing = self.state_seen = self.cut = 0
        self.starts: list[float] = []

    def start_adapt(self):
        """Start the adapt node and wait for its first step."""
        values = {k: v for k, v in self.rig.rig.values.items() if k != 'extrinsics'}
        began = time.monotonic()
        values['extrinsics'] = f'[{", ".join(str(float(v)) for v in POSE)}]'
        self.adapt = start('adapt_node', values, self.work / 'adapt.log')
        while True:
            steps = self.rig.value('adapt_node', 'learning', 'steps per second', began)
            if steps and float(steps) > 0:
                break
            self.alive(self.adapt, 'adapt', began)
            time.sleep(0.01)
        self.starts.append(time.monotonic() - began)

    def alive(self, child, name, began):
        """Complain where a process has ended or takes too long to start."""
        if child.poll() is not None or time.monotonic() - began > START_TIMEOUT:
            tail = (self.work / f'{name}.log').read_text(errors='replace')[-3000:]
            facts = {str(k): v for k, v in self.rig.health.items()}
            raise SystemExit(f'error: the {name} node does not come up: {facts}\n{tail}')

    def start_depth(self):
        """Start the depth node and wait for depth."""
        parameters = {
            'model': self.models / 'student',
            'revisions': self.revisions,
            'threads': 1,
            'thermal_reliability': 'reliable',
            'diagnostics_period': 0.2,
        }
        began = time.monotonic()
        self.depth = start('depth_node', parameters, self.work / 'depth.log')
        while self.rig.last_depth < began:
            self.alive(self.depth, 'depth', began)
            time.sleep(0.01)
        return self.rig.last_depth - began

    def drafts(self):
        """Folders of revisions that are being written now."""
        with contextlib.suppress(OSError):
            return [p for p in self.revisions.iterdir() if p.name.startswith('.') and p.is_dir()]
        return []

    def wait_for_moment(self):
        """Sleep until the moment of the next kill; True where it is aimed at a revision."""
        options = self.options
        time.sleep(self.random.uniform(options.least, options.most))
        if self.random.random() >= options.aimed:
            return False
        until = time.monotonic() + AIMING
        while time.monotonic() < until:
            if self.drafts():
                time.sleep(self.random.uniform(0.0, 0.06))
                return True
            time.sleep(0.0005)
        return False

    def check(self, problem):
        """Look at everything on disk after a kill; `problem` collects sentences."""
        store = RevisionStore(self.revisions)
        record, text = read_current(self.revisions)
        good = store.good()
        if record is None:
            problem(f'no revision is in use: {text}')
        elif good.bundle is None or good.bundle.revision != record.revision:
            problem(f'the revision in use cannot be used: {good.reason}')
        if good.bundle is not None:
            with OnnxRuntimeEngine(good.bundle, EngineOptions(threads=1)) as engine:
                frames = read_check(good.bundle)
                if not frames:
                    problem(f'{good.bundle.revision} has no stored frame')
                check_engine(engine, frames)
        infos = store.revisions(verify=True)
        for info in infos:
            if info.defect:
                problem(f'half a revision under its name: {info.defect}')
        self.seen |= {info.name for info in infos}
        for name, megabytes in (('replay', REPLAY_MB), ('held_out', HELD_OUT_MB)):
            self.check_memory(name, megabytes, problem)
        state = self.memory / 'state'
        if (state / 'state.json').is_file():
            self.state_seen += 1
            from monother_ros.learning.adaptation_state import read_state

            if read_state(state) is None:
                problem('the state of learning is damaged')
        elif self.state_seen:
            problem('the state of learning is gone')

    def check_memory(self, name, megabytes, problem):
        """Open a copy of a memory of pairs, as the node that comes next opens the original."""
        folder = self.memory / name
        if not folder.is_dir():
            return
        with tempfile.TemporaryDirectory(dir=self.work) as place:
            shutil.copytree(folder, Path(place) / name)
            buffer = ReplayBuffer(Path(place) / name, megabytes * 1_000_000)
            try:
                size = sum(f.stat().st_size for f in (Path(place) / name).glob('*-*'))
                if size > megabytes * 1_000_000:
                    problem(f'{name} holds {size} bytes, above its size')
                if len(buffer) != sum(1 for _ in buffer) or buffer.damaged:
                    problem(f'{name} holds damaged pairs')
            finally:
                buffer.close()

    def kill_adapt(self, number):
        """One kill of the adapt node and what follows."""
        self.start_adapt()
        found: list[str] = []
        if number % 2 and not self.rig.reset():
            found.append('the service reset did not answer')
        aimed = self.wait_for_moment()
        assert self.adapt is not None and self.depth is not None
        kill(self.adapt)
        self.writing += bool(self.drafts())
        killed = time.monotonic()
        try:
            self.check(found.append)
        except Exception as err:
            found.append(f'{type(err).__name__}: {err}')
        if self.depth.poll() is not None:
            found.append(f'the depth node ended with {self.depth.returncode}')
        until = time.monotonic() + 5.0
        while self.rig.last_depth < killed and time.monotonic() < until:
            time.sleep(0.01)
        if self.rig.last_depth < killed:
            found.append('no depth after the kill')
        self.problems += [f'adapt kill {number}: {text}' for text in found]
        kind = 'aimed' if aimed else 'random'
        say(f'adapt kill {number} ({kind}): {len(self.seen)} revisions so far, {found or "fine"}')

    def kill_depth(self, number):
        """One kill of the depth node while revisions come."""
        assert self.depth is not None
        time.sleep(self.random.uniform(0.2, 2.5))
        kill(self.depth)
        before, _ = read_current(self.revisions)
        took = self.start_depth()
        began = time.monotonic()
        revision = refused = None
        while (revision is None or refused is None) and time.monotonic() < began + 10:
            revision = self.rig.value('depth_node', 'revision', 'revision', began)
            refused = self.rig.value('depth_node', 'revision', 'refused', began)
            time.sleep(0.01)
        found = []
        if refused != '0':
            health = self.rig.health.get(('depth_node', 'revision'), {})
            found.append(f'refused {refused}: {health.get("last refusal")}')
        known = {info.name: info.number for info in RevisionStore(self.revisions).revisions()}
        self.seen |= set(known)
        if revision not in self.seen:
            found.append(f'runs {revision}, which is no revision of the store')
        elif before is not None and known.get(revision, 10**9) < known.get(before.revision, 0):
            found.append(f'runs {revision}, older than {before.revision} that was in use')
        self.problems += [f'depth kill {number}: {text}' for text in found]
        say(f'depth kill {number}: depth again after {took:.1f} s with {revision}')
        return took

    def depth_figures(self, began, ended):
        """What came of the images between two instants."""
        sent = [s for s, t in sorted(self.rig.sent.items()) if began <= t <= ended]
        times = np.array(sorted(t for t in self.rig.depth.values() if began <= t <= ended))
        lost = sum(s not in self.rig.depth for s in sent)
        gap = float(np.diff(times).max()) if len(times) > 1 else float('nan')
        return {
            'images': len(sent),
            'images without depth': lost,
            'longest gap between depth images [s]': round(gap, 3),
            'revisions taken over': int(self.rig.value('depth_node', 'revision', 'swaps') or 0),
            'revisions refused': int(self.rig.value('depth_node', 'revision', 'refused') or 0),
        }

    def run(self):
        """All kills; the figures."""
        self.rig.start()
        options, began = self.options, time.monotonic()
        self.start_depth()
        first = time.monotonic()
        for number in range(options.adapt):
            self.kill_adapt(number + 1)
        time.sleep(1.0)
        result = {
            'adapt node': {
                'kills': options.adapt,
                'of them while a revision was being written': self.writing,
                'revisions written in all': len(self.seen),
                'kills after which a state of learning was there': self.state_seen,
                'start to first step, median [s]': _median(self.starts),
                'depth meanwhile': self.depth_figures(first, time.monotonic() - 0.5),
                'minutes': round((time.monotonic() - first) / 60, 1),
            }
        }
        if options.depth:
            self.start_adapt()
            again = [self.kill_depth(number + 1) for number in range(options.depth)]
            result['depth node'] = {
                'kills': options.depth,
                'kill to first depth, median and longest [s]': [_median(again), max(again)],
            }
        leftovers = [p.name for p in self.memory.iterdir() if p.name.startswith('.')]
        result |= {
            'problems': self.problems,
            'temporary folders left in the memory': len(leftovers),
            'minutes': round((time.monotonic() - began) / 60, 1),
        }
        return result

    def end(self):
        """End every process."""
        for child in (self.adapt, self.depth):
            if child is not None and child.poll() is None:
                kill(child)
        self.rig.end()


def _median(values):
    return round(float(np.median(values)), 2) if values else None


def say(text):
    """Progress, on standard error."""
    sys.stderr.write(f'{text}\n')
    sys.stderr.flush()


def main():
    """Kill, check and write."""
    options = parse()
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    os.environ['ROS_DOMAIN_ID'] = str(os.getpid() % 90 + 2)
    with contextlib.ExitStack() as stack:
        place = options.work
        if place is None:
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='kills.')))
        place.mkdir(parents=True, exist_ok=True)
        trial = Trial(options, place)
        try:
            result = trial.run()
        finally:
            trial.end()
    write_result(result, options.output)
    return 1 if result['problems'] else 0


if __name__ == '__main__':
    sys.exit(main())
