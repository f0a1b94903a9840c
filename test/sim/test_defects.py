# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clouds before the RGB camera; the other defects are tested with the gates that find them."""

import numpy as np
import pytest

from monother_ros.sim.defects import Clouds

SHAPE = (120, 160)


@pytest.fixture(scope='module')
def clouds():
    return Clouds(SHAPE, np.random.default_rng(2), cover=0.3)


def test_they_hide_a_part_of_the_picture(clouds):
    alpha = np.stack([clouds.alpha(t) for t in range(0, 60, 2)])
    assert alpha.shape[1:] == (*SHAPE, 1)
    assert alpha.min() == 0.0
    assert 0.6 < alpha.max() <= 0.9
    assert (alpha > 0).mean() == pytest.approx(0.3, abs=0.1)


def test_they_drift_and_come_again(clouds):
    first, later = clouds.alpha(0.0), clouds.alpha(1.0)
    assert np.abs(first - later).max() > 0.1
    shift = round(clouds._speed)
    np.testing.assert_array_equal(first[:, shift:], later[:, :-shift])
    period = Clouds.WIDTHS * SHAPE[1] / clouds._speed
    np.testing.assert_array_equal(clouds.alpha(period), first)


def test_what_they_do_not_hide_stays_as_it_is(clouds):
    picture = np.random.default_rng(0).integers(20, 235, (*SHAPE, 3), np.uint8)
    before = picture.copy()
    seen = clouds(picture, 0.0, np.random.default_rng(1))
    np.testing.assert_array_equal(picture, before)
    clear = clouds.alpha(0.0)[..., 0] == 0.0
    thick = clouds.alpha(0.0)[..., 0] > 0.5
    change = np.abs(seen.astype(int) - picture).mean(-1)
    assert change[clear].mean() < 2.0  # sensor noise
    assert change[thick].mean() > 25.0
    assert seen[thick].std() < 0.6 * picture[thick].std()
    assert (seen == clouds(picture, 0.0, np.random.default_rng(1))).all()
