# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The adapt node's state, judged part by part for /diagnostics."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from monother_ros.learning.adaptation import DISABLED
from monother_ros.learning.intake import MISALIGNED
from monother_ros.nodes.adapt_worker import MEMORY, UNUSABLE, AdaptWorker
from monother_ros.nodes.calibration import Calibration
from monother_ros.nodes.inputs import WatchedSubscription
from monother_ros.ros.diagnostics import ERROR, OK, WARN, Health, assess_input
from monother_ros.ros.transport import describe_transport

if TYPE_CHECKING:
    from monother_ros.nodes.adapt_node import AdaptNode


def node_health(node: AdaptNode) -> dict[str, Health]:
    """Judge every part of the node, in the order in which an operator asks."""
    parts = {'learning': _learning(node)}
    for role in ('thermal', 'rgb'):
        health = _input(node, role)
        if health is not None:
            parts[f'{role} input'] = health
    if node.rig is not None:
        parts['calibration'] = _calibration(node)
    if node.worker is not None:
        parts['memory and CPU'] = _resources(node.worker)
    return parts


def _learning(node: AdaptNode) -> Health:
    worker = node.worker
    if worker is None:
        values = {'state': node.stage}
        if node.problem is not None:
            return Health(ERROR, node.problem, values)
        return Health(WARN, f'{node.stage}: nothing is learned until the node is active', values)
    level, state, message = _judge(node, worker)
    return Health(level, message, {'state': state, **_values(node, worker)})


def _judge(node: AdaptNode, worker: AdaptWorker) -> tuple[int, str, str]:
    """Level, state in one word and a sentence."""
    status = worker.status
    if node.problem is not None:
        return ERROR, 'error', node.problem
    if node.stage != 'active':
        return WARN, node.stage, f'{node.stage}: nothing is learned until the node is active'
    if worker.failure is not None:
        return ERROR, 'error', worker.failure
    if worker.memory.exceeded:
        limit = worker.memory.limit / 1e6
        held = worker.memory_held / 1e6
        return ERROR, 'paused', f'paused: {held:.0f} MB are held, memory_limit is {limit:.0f}'
    if node.rig is not None and node.rig.problem is not None:
        return ERROR, 'error', node.rig.problem
    if not worker.enabled:
        return OK, 'paused', 'paused: learning is switched off'
    if status.get('stopped'):
        return ERROR, 'error', f'learning has stopped: {status["stopped"]}'
    if worker.slipped:
        return WARN, 'paused', f'paused: {MISALIGNED}: {status.get("alignment", "")}'
    reason = worker.last_reason
    silence = [s.silence() for s in (node.images['thermal'], node.images['rgb']) if s is not None]
    if max(silence, default=0.0) > node.guard.current.silence_timeout:
        return WARN, 'waiting', 'waiting for images of both cameras'
    if not node.pairs_seen:
        return WARN, 'waiting', 'waiting for a pair of images with stamps near each other'
    if reason == UNUSABLE:
        return ERROR, 'paused', f'paused: {reason}'
    if not worker.learning:
        gathered = f'{status.get("replay pairs")} of {status.get("needed")} pairs'
        cause = '' if reason is None else f'; no new pair is taken: {reason}'
        return OK, 'waiting', f'waiting until {gathered} are in the memory{cause}'
    if reason is not None and reason not in (DISABLED, MEMORY):
        return OK, 'paused', f'no new pair is taken: {reason}; learning from memory'
    return OK, 'learning', f'learning: {worker.step_rate.rate():.1f} steps/s'


def _values(node: AdaptNode, worker: AdaptWorker) -> dict[str, str]:
    status = worker.status
    offset = status.get('offset')
    values = {
        'steps': status.get('steps'),
        'steps per second': f'{worker.step_rate.rate():.2f}',
        'pairs per second': f'{worker.pair_rate.rate():.2f}',
        'loss': status.get('loss'),
        'mean confidence': status.get('confidence'),
        'mask share': status.get('mask share'),
        'replay pairs': status.get('replay pairs'),
        'replay MB': status.get('replay MB'),
        'held-out pairs': status.get('held out'),
        'revision': status.get('revision'),
        'parent': status.get('parent'),
        'revisions handed over': status.get('offers'),
        'roll backs': status.get('roll backs'),
        'last decision': status.get('decision') or 'none yet',
        'last decision: gain': status.get('gain'),
        'last decision: p': status.get('p'),
        'learning rate factor': status.get('learning rate factor'),
        'alignment offset [px]': None if offset is None else f'{offset[0]:.1f} {offset[1]:.1f}',
        'alignment': status.get('alignment'),
        'teacher': status.get('teacher'),
        'part': status.get('part'),
        'problem': status.get('problem'),
        'last service': worker.last_service,
    }
    shown = {name: _shown(value) for name, value in values.items()}
    matcher = node.matcher
    if matcher is not None:
        for name, count in matcher.counters.snapshot().items():
            shown[f'pairing: {name.replace("_", " ")}'] = str(count)
    for name, count in sorted(worker.reasons.items()):
        shown[f'pairs: {name}'] = str(count)
    return shown


def _shown(value: Any) -> str:
    """A value for people; empty where it is not known."""
    if value is None:
        return ''
    if isinstance(value, float):
        return '' if math.isnan(value) else f'{value:.4g}'
    return str(value)


def _input(node: AdaptNode, role: str) -> Health | None:
    """Judge the images of one camera; None while they are not subscribed to."""
    image: WatchedSubscription | None = node.images[role]
    if image is None:
        return None
    facts = image.facts(f'{role}_reliability', values={'transport': describe_transport()})
    return assess_input(facts, node.guard.current.silence_timeout)


def _calibration(node: AdaptNode) -> Health:
    rig = node.rig
    assert rig is not None
    values = {'extrinsics from': rig.source}
    for role in ('thermal', 'rgb'):
        calibration: Calibration = getattr(rig, role)
        in_file = rig.file is not None and getattr(rig.file, role) is not None
        values[f'{role} camera'] = (
            'from the file' if in_file else calibration.problem or calibration.note or 'known'
        )
    if rig.problem is not None:
        return Health(ERROR, rig.problem, values)
    if node.worker is not None and node.worker.slipped:
        return Health(WARN, str(node.worker.status.get('alignment', '')), values)
    return Health(OK, 'known', values)


def _resources(worker: AdaptWorker) -> Health:
    used = worker.budget.used()
    values = {
        'memory [MB]': f'{worker.memory_held / 1e6:.0f}',
        'memory_limit [MB]': f'{worker.memory.limit / 1e6:.0f}',
        'times above memory_limit': str(worker.memory.times),
        'CPU share': f'{used:.2f}',
        'cpu_share': f'{worker.budget.share:g}',
        'niceness': str(worker.nice),
    }
    message = f'{worker.memory_held / 1e6:.0f} MB, {used:.2f} cores'
    return Health(ERROR if worker.memory.exceeded else OK, message, values)
