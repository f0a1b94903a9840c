# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The depth node's state, judged part by part for /diagnostics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monother_ros.nodes.outputs import TOPICS
from monother_ros.ros.diagnostics import (
    OK,
    WARN,
    DepthFacts,
    Health,
    assess_depth,
    assess_input,
    stamp_problem,
)
from monother_ros.ros.transport import describe_transport

if TYPE_CHECKING:
    from monother_ros.nodes.depth_node import DepthNode


def node_health(node: DepthNode) -> dict[str, Health]:
    """Judge every part of the node, in the order in which an operator asks."""
    parts = {'depth': _depth(node)}
    if node.image is not None:
        parts['thermal input'] = _thermal(node)
    if node.rgb is not None:
        rgb = node.rgb.health(node.guard.current.silence_timeout)
        if rgb is not None:
            parts['rgb input'] = rgb
    if node.range is not None:
        ranges = node.range.health(node.guard.current.silence_timeout)
        if ranges is not None:
            parts['range input'] = ranges
    if node.scale is not None:
        parts['scale'] = node.scale.health(node.guard.current.scale_force)
    parts['engine'] = _engine(node)
    parts['revision'] = _revision(node)
    return parts


def _depth(node: DepthNode) -> Health:
    statistics = node.statistics
    values = statistics.values()
    if node.outputs is not None:
        published = node.outputs.published
        values.update(
            {f'published {topic}': str(published[kind]) for kind, (topic, _) in TOPICS.items()}
        )
    values['shutter'] = statistics.shutter
    values['transport'] = describe_transport()
    return assess_depth(
        DepthFacts(
            stage=node.stage,
            problem=node.problem,
            failure=statistics.failure,
            idle=statistics.idle,
            shutter=statistics.skipped,
            replaced_share=statistics.replaced_share(),
            values=values,
        )
    )


def _thermal(node: DepthNode) -> Health:
    assert node.image is not None and node.calibration is not None
    parameters, statistics = node.guard.current, node.statistics
    problems = [stamp_problem(statistics.age)]
    if not statistics.idle:
        problems.append(
            node.calibration.problem
            and f'{node.calibration.problem}; no points, no depth/camera_info'
        )
    values = {
        'image': statistics.image or 'none yet',
        'frame_id': statistics.frame_id,
        'shutter': statistics.shutter,
        'calibration': node.calibration.problem or node.calibration.note or 'known',
    }
    if statistics.age is not None:
        values['age of a stamp when received [ms]'] = f'{1e3 * statistics.age:.1f}'
    return assess_input(
        node.image.facts('thermal_reliability', tuple(p for p in problems if p), values),
        parameters.silence_timeout,
        parameters.expected_rate,
    )


def _engine(node: DepthNode) -> Health:
    engine = node.engine
    if engine is None:
        return Health(WARN, 'no engine is loaded', {'model': node.guard.current.model})
    bundle = engine.bundle
    values = {
        'engine': engine.name,
        'description': engine.description,
        'reason': engine.reason,
        'bundle': bundle.name,
        'revision': bundle.revision,
        'outputs': ', '.join(bundle.outputs),
        'path': str(bundle.path),
        'digest': bundle.digest[:16],
    }
    if engine.fell_back:
        return Health(WARN, f'{bundle.name} {bundle.revision}: {engine.reason}', values)
    return Health(OK, f'{bundle.name} {bundle.revision} on {engine.name}', values)


def _revision(node: DepthNode) -> Health:
    """Which revision makes depth, which one made which frames, and what was refused."""
    engine = node.engine
    if engine is None:
        return Health(OK, 'no engine is loaded')
    bundle = engine.bundle
    if node.swap is None:
        health = Health(OK, f'{bundle.name} {bundle.revision}; the parameter revisions is empty')
    else:
        health = node.swap.health(bundle)
    values = {
        'revision': bundle.revision,
        'parent': bundle.parent or 'none',
        'digest': bundle.digest[:16],
        **health.values,
        **node.statistics.revisions.values(),
    }
    return Health(health.level, health.message, values)
