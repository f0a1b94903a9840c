# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs of frames by revision, and the gaps around swaps."""

from __future__ import annotations

from monother_ros.nodes.frame_revisions import KEPT, FrameRevisions

MS = 1_000_000


def test_runs_tell_the_revision_of_each_frame():
    frames = FrameRevisions()
    for i, name in enumerate('aaabba'):
        frames.published(name, i * MS, 0.1 * i, False)
    runs = [(r.revision, r.count, r.first_ns, r.last_ns) for r in frames.runs()]
    assert runs == [('a', 3, 0, 2 * MS), ('b', 2, 3 * MS, 4 * MS), ('a', 1, 5 * MS, 5 * MS)]
    values = frames.values()
    assert values['made by a'] == '1 frames, 0.005000000 to 0.005000000'
    assert values['made by b (run -1)'] == '2 frames, 0.003000000 to 0.004000000'
    assert values['made by a (run -2)'].startswith('3 frames, 0.000000000')


def test_gap_is_the_longest_at_or_near_a_swap_and_no_other():
    frames = FrameRevisions()
    frames.published('a', 0, 0.0, False)
    frames.published('a', 1, 9.0, False)
    assert frames.longest_gap is None
    frames.published('b', 2, 9.25, False)
    assert frames.longest_gap == 0.25
    frames.published('b', 3, 9.75, True)
    assert frames.longest_gap == 0.5
    # the camera stood still: not the swap's doing
    frames.paused()
    frames.published('c', 4, 99.0, True)
    assert frames.longest_gap == 0.5
    assert frames.values()['longest gap between frames around swaps [ms]'] == '500.0'


def test_only_the_recent_past_is_kept():
    frames = FrameRevisions()
    for i in range(3 * KEPT):
        frames.published(f'r{i}', i, float(i), False)
    assert [r.revision for r in frames.runs()] == [f'r{i}' for i in range(2 * KEPT, 3 * KEPT)]
