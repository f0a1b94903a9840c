# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an operator asks first, judged and packed for /diagnostics."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from monother_ros.ros.transport import silence_advice

OK, WARN, ERROR = 0, 1, 2
"""Levels of diagnostic_msgs/DiagnosticStatus."""

RATE_TOLERANCE = 0.9
"""Share of the expected rate below which the camera counts as slow."""

REPLACED_TOLERANCE = 0.1
"""Share of images replaced by newer ones above which the engine counts as too slow."""

LOST_TOLERANCE = 0.05
"""Share of messages lost by the middleware above which the transport counts as bad."""

OLD_STAMP = 5.0
"""Seconds between stamp and clock above which the clocks count as different."""


@dataclass(frozen=True)
class Health:
    """
    One judged part of the node.

    :param level: OK, WARN or ERROR.
    :param message: one sentence.
    :param values: what it was judged by, in the order shown.
    """

    level: int
    message: str
    values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class InputFacts:
    """
    State of one image input.

    :param topic: resolved name.
    :param parameter: node parameter that chooses its reliability.
    :param received: messages since configured.
    :param rate: messages per second lately.
    :param silence: seconds since the last message, or since the subscription.
    :param publishers: publishers known.
    :param unmatched: those of them whose QoS does not fit.
    :param incompatible: why it does not.
    :param lost: messages that the middleware has reported as lost since configured.
    :param lost_share: share of the messages of the last period that were lost.
    :param problems: what else is wrong (calibration …), each a sentence.
    :param values: further values to show.
    """

    topic: str
    parameter: str
    received: int
    rate: float
    silence: float
    publishers: int
    unmatched: int = 0
    incompatible: str = ''
    lost: int = 0
    lost_share: float = 0.0
    problems: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DepthFacts:
    """
    State of the frame path.

    :param stage: lifecycle state.
    :param problem: why the last transition failed, or None.
    :param failure: why the last image gave no depth, or None.
    :param idle: nobody subscribes to any output.
    :param shutter: why the last image gave no depth although nothing is wrong, or None.
    :param replaced_share: share of the images of the last period that a newer one replaced.
    :param values: rates, latencies, drops.
    """

    stage: str
    problem: str | None = None
    failure: str | None = None
    idle: bool = False
    shutter: str | None = None
    replaced_share: float = 0.0
    values: Mapping[str, str] = field(default_factory=dict)


def assess_input(facts: InputFacts, silence_timeout: float, expected_rate: float = 0.0) -> Health:
    """
    Judge an image input.

    :param silence_timeout: seconds without an image after which it counts as stopped.
    :param expected_rate: Hz; 0 for no check.
    """
    values = {
        'topic': facts.topic,
        'received': str(facts.received),
        'lost by the middleware': str(facts.lost),
        'rate [Hz]': f'{facts.rate:.1f}',
        'publishers': str(facts.publishers),
        **facts.values,
    }
    if facts.publishers and facts.unmatched == facts.publishers:
        return Health(
            ERROR,
            f'QoS of {facts.topic} does not match its publisher ({facts.incompatible}); '
            f'set the parameter {facts.parameter} to what it offers',
            values,
        )
    if facts.silence > silence_timeout:
        if not facts.publishers:
            return Health(WARN, f'nobody publishes {facts.topic}', values)
        if not facts.received or facts.lost_share > LOST_TOLERANCE:
            message = f'nothing arrives on {facts.topic}: {silence_advice(facts.parameter)}'
            return Health(ERROR, message, values)
        message = f'no image on {facts.topic} for {facts.silence:.1f} s: the camera has stopped'
        return Health(ERROR, message, values)
    if not facts.received:
        return Health(OK, f'waiting for {facts.topic}', values)
    problems = list(facts.problems)
    if facts.lost_share > LOST_TOLERANCE:
        lost = f'{100 * facts.lost_share:.0f} % of the images are lost on the way'
        problems.insert(0, f'{lost}: {silence_advice(facts.parameter)}')
    if expected_rate and facts.rate < RATE_TOLERANCE * expected_rate:
        problems.insert(0, f'{facts.rate:.1f} Hz instead of {expected_rate:g} Hz')
    if problems:
        return Health(WARN, '; '.join(problems), values)
    return Health(OK, f'{facts.rate:.1f} Hz', values)


def assess_depth(facts: DepthFacts) -> Health:
    """Judge the frame path."""
    values = {'state': facts.stage, **facts.values}
    if facts.problem is not None:
        return Health(ERROR, facts.problem, values)
    if facts.stage != 'active':
        return Health(WARN, f'{facts.stage}: no depth until the node is activated', values)
    if facts.failure is not None:
        return Health(ERROR, f'the last image gave no depth: {facts.failure}', values)
    if facts.idle:
        return Health(OK, 'idle: nobody subscribes', values)
    if facts.shutter is not None:
        return Health(OK, f'no depth for the moment: {facts.shutter}', values)
    if facts.replaced_share > REPLACED_TOLERANCE:
        share = f'{100 * facts.replaced_share:.0f} %'
        message = f'slower than the camera: {share} of the images are replaced by newer ones'
        return Health(WARN, message, values)
    return Health(OK, 'running', values)


def stamp_problem(age: float | None) -> str | None:
    """
    Sentence about stamps that do not belong to the node's clock, or None.

    :param age: seconds between a stamp and the clock when it was received.
    """
    if age is None or -OLD_STAMP < age < OLD_STAMP:
        return None
    return (
        f'stamps are {age:.0f} s behind the clock: a replayed bag needs use_sim_time, two '
        'computers need synchronised clocks'
    )


def diagnostic_array(node: str, hardware: str, parts: Mapping[str, Health], stamp: Any) -> Any:
    """
    Pack the parts into one message.

    :param node: fully qualified name of the node; each status is called 'node: part'.
    :param hardware: hardware_id, for instance the thermal camera's frame.
    :param parts: judged parts by name.
    :param stamp: builtin_interfaces/Time of the message.
    """
    from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

    message = DiagnosticArray()
    message.header.stamp = stamp
    for name, health in parts.items():
        message.status.append(
            DiagnosticStatus(
                level=bytes([health.level]),
                name=f'{node.lstrip("/")}: {name}',
                message=health.message,
                hardware_id=hardware,
                values=[KeyValue(key=k, value=v) for k, v in health.values.items()],
            )
        )
    return message


class Throttle:
    """
    Lets a text through at most once in a period, whoever asks.

    :param period: seconds.
    """

    def __init__(self, period: float) -> None:
        self._period = period
        self._last: dict[str, float] = {}

    def __call__(self, key: str) -> bool:
        """Whether the text of this key may be shown now."""
        now = time.monotonic()
        last = self._last.get(key)
        if last is not None and now - last < self._period:
            return False
        self._last[key] = now
        return True
