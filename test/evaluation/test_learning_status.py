# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tests of reading what the adapt node and the depth node said."""

from __future__ import annotations

import re

import pytest
from recorded_run import T, header, stamp_of

from monother_ros.evaluation.adaptation_figures import smooth, why_nothing
from monother_ros.evaluation.learning_status import of_node, read_learning, revision_runs
from monother_ros.nodes.frame_revisions import FrameRevisions


def said(k, node, part, values, message='learning: 2.0 steps/s'):
    """A message of one node as recorded: receive time and array."""
    pairs = [T['diagnostic_msgs/msg/KeyValue'](key, str(v)) for key, v in values.items()]
    status = T['diagnostic_msgs/msg/DiagnosticStatus'](0, f'{node}: {part}', message, '', pairs)
    array = T['diagnostic_msgs/msg/DiagnosticArray'](header(stamp_of(k), ''), [status])
    return stamp_of(k) + 9, array


def learning(k, **values):
    """The adapt node at frame k."""
    values = {key.replace('_', ' '): v for key, v in values.items()}
    return said(k, 'adapt_node', 'learning', values)


def test_looks_of_the_guard_are_told_once_each():
    messages = [
        learning(10, steps=5, **{'last decision': 'none yet', 'pairs: taken': 8}),
        *(
            learning(k, steps=60, **{
                'last decision': 'wait: not sure yet', 'last decision: gain': '0.012',
                'last decision: p': '0.2', 'pairs: guard: wait': 1, 'revision': 'lite-base-1',
            })
            for k in (20, 30)
        ),
        learning(40, steps=120, **{
            'last decision': 'offer: better by 8 %', 'last decision: gain': '0.08',
            'last decision: p': '1e-05', 'pairs: guard: wait': 1, 'pairs: guard: offer': 1,
            'pairs: taken': 60, 'pairs: night': 3, 'pairs: more than needed': 40,
            'pairs: roll back': 0, 'pairs: step without a finite gradient': 2,
            'revision': 'lite-a1',
        }),
    ]  # fmt: skip
    status = read_learning(messages)
    assert [(x.action, x.steps, x.reason, x.gain) for x in status.looks] == [
        ('wait', 60, 'not sure yet', 0.012),
        ('offer', 120, 'better by 8 %', 0.08),
    ]
    assert [x.stamp for x in status.looks] == [stamp_of(20), stamp_of(40)]
    assert status.taken == 60
    # what counts no pairs is no reason; the most frequent reason comes first
    assert list(status.reasons.items()) == [('more than needed', 40), ('night', 3)]


def test_counters_that_start_anew_after_a_reset_are_no_new_looks():
    offered = {'pairs: guard: offer': 2, 'last decision': 'offer: better', 'steps': 100}
    status = read_learning(
        [
            learning(10, **offered),
            learning(20, steps=0),
            learning(30, **{**offered, 'pairs: guard: offer': 1}),
        ]
    )
    assert [look.action for look in status.looks] == ['offer', 'offer']


def test_nodes_that_share_the_topic_are_told_apart():
    messages = [
        said(1, 'front/adapt_node', 'learning', {'pairs: taken': 5}),
        said(2, 'depth_node', 'learning', {'pairs: taken': 9}),
    ]
    assert read_learning(of_node(messages, 'adapt_node')).taken == 5
    assert [log for log, _ in of_node(messages, 'depth_node')] == [stamp_of(2) + 9]


def test_runs_are_those_that_the_depth_node_keeps():
    known = FrameRevisions()
    messages = []
    for k, revision in enumerate(['lite', 'lite', 'lite-a1', 'lite-a1', 'lite', 'lite-a2']):
        known.published(revision, stamp_of(k), float(k), near_swap=False)
        messages.append(said(k, 'depth_node', 'revision', known.values()))
    runs = revision_runs(messages)
    assert [(r.revision, r.frames) for r in runs] == [
        ('lite', 2), ('lite-a1', 2), ('lite', 1), ('lite-a2', 1)
    ]  # fmt: skip
    assert (runs[1].first, runs[1].last) == (stamp_of(2), stamp_of(3))


@pytest.mark.parametrize(
    ('values', 'expected'),
    [
        (None, 'has said nothing'),
        ({'pairs: night': 4}, r'No pair was taken to learn from: night \(4\)'),
        ({'pairs: taken': 7, 'steps': 0}, '7 pairs were taken, too few'),
        ({'pairs: taken': 70, 'steps': 30}, '30 optimiser steps .* before the guard'),
        (
            {
                'pairs: taken': 70,
                'steps': 30,
                'pairs: guard: wait': 2,
                'last decision': 'wait: 9 of 20 held-out pairs',
            },
            'looked once and offered no revision.*"wait: 9 of 20 held-out pairs"',
        ),
        ({'pairs: taken': 1, 'steps': 0, 'problem': 'the disk is full'}, 'the disk is full$'),
    ],
)
def test_why_nothing_was_learned(values, expected):
    status = read_learning([] if values is None else [learning(1, **values)])
    assert re.search(expected, why_nothing(status))


def test_smoothed_curve_is_the_mean_of_what_is_near_and_known():
    nan = float('nan')
    assert smooth([0, 1, 2, 10], [1.0, nan, 3.0, 7.0], 2.0) == pytest.approx(
        [1.0, 2.0, 3.0, 7.0], nan_ok=True
    )
    # a change of the revision stays a step
    values = smooth([0, 1, 2, 3], [4.0, 4.0, 2.0, 2.0], 2.0, borders=[2.0])
    assert values == [4.0, 4.0, 2.0, 2.0]
    assert smooth([0.0], [nan], 1.0)[0] != smooth([0.0], [nan], 1.0)[0]
