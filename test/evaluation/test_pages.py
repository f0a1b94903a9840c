# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pages in a real headless browser, at the width of a phone and of a desktop."""

from __future__ import annotations

import pytest
from browser import DESKTOP, PHONE, check, headless, look

pytest.importorskip('matplotlib')
pytest.importorskip('rosbags')
from recorded_run import Drive, write_pair

from monother_ros.evaluation.page import render
from monother_ros.evaluation.report import build


@pytest.fixture(scope='module')
def browser():
    """One headless browser for all pages."""
    with headless() as found:
        yield found


@pytest.mark.parametrize('size', [PHONE, DESKTOP], ids=['phone', 'desktop'])
def test_what_is_wrong_with_a_page_is_seen(browser, tmp_path, size):
    page = tmp_path / 'bad.html'
    page.write_text(
        '<!DOCTYPE html><meta charset="utf-8"><script>missing()</script>'
        '<img src="data:image/png;base64,AAAA" alt="a picture"><img src="gone.png">'
        '<div style="width: 3000px">wide</div><p style="font-size: 6px">tiny</p>'
    )
    wrong = '\n'.join(check(look(browser, page, size), size))
    for text in (
        'error: missing is not defined',
        'asks for',
        'picture not loaded: a picture',
        '1 pictures without alt text',
        f'on a screen of {size[0]} px',
        'sticks out: DIV. wide',
        'text of 6 px',
    ):
        assert text in wrong
    page.write_text('<!DOCTYPE html><meta name="viewport" content="width=device-width"><p>Fine')
    assert check(look(browser, page, size), size) == []


def test_page_of_a_recorded_run(browser, tmp_path):
    recorded, given = write_pair(tmp_path, Drive(frames=10))
    page = build(recorded, given, tmp_path / 'report', moments=2).page
    for size in (PHONE, DESKTOP):
        found = look(browser, page, size)
        assert check(found, size) == []
        assert found.pictures > 10


def test_page_of_the_doctor(browser, tmp_path):
    findings = [
        {'state': state, 'name': f'{state} thing', 'found': 'x' * 120, 'advice': 'do this'}
        for state in ('ok', 'info', 'warn', 'fail')
    ]
    figures = {
        'title': 'Doctor', 'made': 'today', 'version': '0', 'self_test': True,
        'sections': [{'title': 'Installed', 'findings': findings}],
    }  # fmt: skip
    page = tmp_path / 'doctor.html'
    page.write_text(render('doctor.html.j2', figures))
    for size in (PHONE, DESKTOP):
        found = look(browser, page, size)
        assert check(found, size) == []
        assert 'fail thing' in found.text
