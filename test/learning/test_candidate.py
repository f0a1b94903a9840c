# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How much of what was learned is offered."""

from __future__ import annotations

import numpy as np
import pytest
from students import lite_bundle, make_anchors, make_pairs

torch = pytest.importorskip('torch')

from monother_ros.learning.candidate import BLENDS, GROWTH, Candidate  # noqa: E402
from monother_ros.learning.distiller import Distiller  # noqa: E402
from monother_ros.learning.student import load_student  # noqa: E402


@pytest.fixture(scope='module')
def bundle(tmp_path_factory):
    return lite_bundle(tmp_path_factory.mktemp('candidate') / 'small')


@pytest.fixture
def candidate(bundle):
    """A student that has moved away from where it came."""
    student = load_student(bundle)
    distiller = Distiller(student, None)
    made = Candidate(student, distiller)
    generator = torch.Generator().manual_seed(0)
    moved = {
        name: value + 0.05 * torch.randn(value.shape, generator=generator)
        if value.is_floating_point() and value.dim() > 1
        else value
        for name, value in student.snapshot().items()
    }
    student.restore(moved)
    return made


@pytest.mark.parametrize('limit', [0.1, 0.2, 0.47, 0.5, 0.96, 1.0])
def test_takes_the_largest_share_that_keeps_the_anchors(bundle, candidate, limit):
    anchors = make_anchors(bundle)
    before, after = candidate.anchor_errors(anchors, lambda _, __: candidate.blend <= limit)
    assert candidate.blend == max([b for b in BLENDS if b <= limit], default=BLENDS[0])
    # what is returned is of that share
    with candidate._judged():
        found = candidate._distiller.anchor_errors(anchors)
    np.testing.assert_allclose(after, found)
    assert np.abs(after - before).max() > 0


def test_the_share_grows_slowly_again(bundle, candidate):
    anchors = make_anchors(bundle)
    candidate.anchor_errors(anchors, lambda _, __: candidate.blend <= 0.45)
    candidate.anchor_errors(anchors, lambda _, __: True)
    assert candidate.blend == BLENDS[BLENDS.index(0.44) + GROWTH]


def test_less_of_what_was_learned_keeps_the_anchors_better(bundle, candidate):
    """What the search takes for granted."""
    anchors = make_anchors(bundle)
    seen = []

    def note(before, after):
        seen.append((candidate.blend, np.abs(after - before).mean()))
        return False

    candidate.anchor_errors(anchors, note)
    order = sorted(seen)
    assert [change for _, change in order] == sorted(change for _, change in order)


def test_errors_of_what_was_accepted_are_known(bundle, candidate, monkeypatch):
    pairs = make_pairs(bundle, 3)
    _, after = candidate.errors(pairs)
    candidate.accept()
    real, asked = Distiller.errors, []

    def errors(self, some):
        asked.append(len(some))
        return real(self, some)

    monkeypatch.setattr(Distiller, 'errors', errors)
    before, again = candidate.errors(pairs)
    np.testing.assert_array_equal(before, after)
    np.testing.assert_allclose(again, after)
    assert asked == [3]
    # a pair that is new is judged with the good weights as well
    more = make_pairs(bundle, 4)
    candidate.errors(more)
    assert asked == [3, 1, 4]
