# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page of an evaluation: what it says, its size, and what a browser makes of it."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip('matplotlib')
pytest.importorskip('jinja2')
from browser import DESKTOP, PHONE, check, headless, look
from evaluation_example import CONDITIONS, LABELS, example

from monother_ros.evaluation import figures
from monother_ros.evaluation.evaluate.schema import Estimate
from monother_ros.evaluation.evaluation_frames import frame_sections
from monother_ros.evaluation.evaluation_page import PAGE_LIMIT, report_page


@pytest.fixture(scope='module')
def compared(tmp_path_factory):
    """Page of two models under two conditions."""
    evaluation = example(recordings=5)
    told = []
    report = report_page(
        evaluation, tmp_path_factory.mktemp('page'), title='A <b> page', progress=told.append
    )
    assert told[-1] == 1.0
    return evaluation, report


def test_one_file_within_its_limit(compared):
    _, report = compared
    assert [p.name for p in report.page.parent.iterdir()] == ['index.html']
    assert report.page.stat().st_size < PAGE_LIMIT
    text = report.page.read_text()
    assert 'A &lt;b&gt; page' in text
    assert not re.findall(r'(?:src|href)="(?!data:)', text)


def test_browser_shows_every_picture_and_figure(compared):
    evaluation, report = compared
    with headless() as browser:
        for size in (PHONE, DESKTOP):
            found = look(browser, report.page, size)
            assert check(found, size) == []
            # 6 frames with 2 + 2 * 4 pictures, and plots
            assert found.pictures >= 60 + 4 + 2 + 3
    level = evaluation.group('lite').metrics['abs_rel']
    for text in (
        f'{level.mean:.3f} {level.low:.3f} to {level.high:.3f}',
        'lite rev3 is better than lite. AbsRel of lite rev3 against lite: −0.0200',
        '95 % interval −0.0260 to −0.0140',
        'monother evaluate --bags "drive_*/" --model lite --model lite_rev3',
        'cores 2, name some CPU',
        'A made up <evaluation>.',
        *CONDITIONS,
        'Worst · street, night, fog · drive_0, 1.4 s',
        '4 of 5 recordings',
    ):
        assert text in re.sub(r'\s+', ' ', found.text), text


def test_one_model_one_condition_and_nothing_to_see(tmp_path):
    bare = example(1, 1, chosen=False)
    lonely = Estimate(0.1, None, None, 3)
    group = replace(bare.groups[0], metrics={'abs_rel': lonely}, bins=[], risk=None)
    bare = replace(
        bare,
        groups=[replace(group, calibration=None)],
        series=[], drift=[], differences=[], environment={}, notes=[],
    )  # fmt: skip
    report = report_page(bare, tmp_path)
    text = report.page.read_text()
    assert '0.100' in text
    for absent in ('Paired differences', 'By condition', 'By distance', 'Over time', '<img'):
        assert absent not in text
    with headless() as browser:
        assert check(look(browser, report.page, PHONE), PHONE) == []


def test_undecided_and_unpaired_models_are_said_to_be_so(tmp_path):
    evaluation = example(2, 1, chosen=False)
    (first, *_) = evaluation.differences
    open_ones = replace(first, certain={})
    apart = replace(first, b='other', metrics={'abs_rel': Estimate(None, None, None, 0)})
    evaluation = replace(evaluation, differences=[open_ones, apart], series=[])
    text = re.sub(r'\s+', ' ', report_page(evaluation, tmp_path).page.read_text())
    assert 'do not tell which of the two is better' in text
    assert 'other and lite have no frames in common' in text


def test_page_stays_within_a_small_limit_and_says_so(tmp_path):
    evaluation = replace(example(1, 1), series=[])
    pages = [
        report_page(evaluation, tmp_path / str(limit), limit=limit).page
        for limit in (450_000, 1_000_000)
    ]
    assert pages[0].stat().st_size < 450_000 < pages[1].stat().st_size
    assert '2 more would make this page too large' in pages[0].read_text()
    assert 'too large' not in pages[1].read_text()


def test_worst_frames_come_before_what_is_less_telling():
    evaluation = example(1, 2)
    (first, *_), _ = frame_sections(replace(evaluation, chosen=evaluation.chosen[:1]), 10_000_000)
    sections, left_out = frame_sections(evaluation, round(2.5 * first.size))
    assert left_out == 4
    assert [s.frame.kind for s in sections] == ['worst', 'worst']
    assert {s.frame.condition for s in sections} == set(CONDITIONS)
    names = [p.title for p in sections[0].models[LABELS[0]]]
    assert names == ['Depth', 'Relative error', 'Confidence', 'Cloud from the side']


def test_maps_show_error_where_there_is_truth(monkeypatch):
    drawn = {}
    original = figures.map_tile

    def keep(values, kind, *rest):
        drawn.setdefault(kind, []).append(values)
        return original(values, kind, *rest)

    monkeypatch.setattr(figures, 'map_tile', keep)
    evaluation = example(1, 1)
    frame_sections(replace(evaluation, chosen=evaluation.chosen[:1]), 10_000_000)
    truth, depth = drawn['depth']
    (error,) = drawn['error']
    assert np.isnan(truth[:20]).all()
    assert np.isnan(error[:20]).all()
    known = np.isfinite(error)
    expected = np.abs(depth[known] - truth[known]) / truth[known]
    np.testing.assert_allclose(error[known], expected, atol=1e-6)


def test_failed_page_leaves_no_half_file(tmp_path, monkeypatch):
    def fail(*_):
        msg = 'no space left'
        raise OSError(msg)

    monkeypatch.setattr('monother_ros.core.files.Path.write_bytes', fail)
    with pytest.raises(OSError, match='no space left'):
        report_page(replace(example(1, 1, chosen=False), series=[]), tmp_path)
    assert list(tmp_path.iterdir()) == []
