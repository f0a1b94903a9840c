# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a real headless browser makes of a page: errors, pictures, width, smallest text."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BROWSERS = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable')
"""Programs that are looked for, in this order."""

PHONE, DESKTOP = (390, 844), (1280, 900)
"""Width and height of a screen in px."""

PROBE = """(width) => {
  const right = width + 1;
  const inScroll = (e) => e.closest('.scroll') !== null;
  const own = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  const every = [...document.querySelectorAll('body *')];
  const seen = every.filter((e) => e.getClientRects().length);
  return {
    pictures: document.images.length,
    broken: [...document.images].filter((i) => !i.complete || !i.naturalWidth).map((i) => i.alt),
    unnamed: [...document.images].filter((i) => !i.alt.trim()).length,
    width: document.documentElement.scrollWidth,
    wide: seen.filter((e) => !inScroll(e) && e.getBoundingClientRect().right > right)
      .map((e) => e.tagName + '.' + e.className + ' ' + e.textContent.slice(0, 40)),
    smallest: Math.min(...seen.filter(own).map((e) => parseFloat(getComputedStyle(e).fontSize))),
    text: document.body.innerText,
  };
}"""
"""Looks at the page from inside."""


@dataclass(frozen=True)
class Look:
    """
    A page as a browser shows it.

    :param errors: of the console and of scripts, and requests that failed.
    :param requests: what the page asked for beside itself and data URLs.
    :param pictures: how many it has; :param broken: alt text of those that did not load.
    :param unnamed: pictures without an alt text.
    :param width: px of the page; :param wide: what sticks out on the right of the screen.
    :param smallest: px of the smallest text; :param text: all of it.
    """

    errors: list[str]
    requests: list[str]
    pictures: int
    broken: list[str]
    unnamed: int
    width: int
    wide: list[str]
    smallest: float
    text: str


@contextlib.contextmanager
def headless(*arguments: str) -> Iterator[Any]:
    """
    A browser without a screen, offline; the test is skipped where none is installed.

    :param arguments: further ones of the command line.
    """
    sync_api = pytest.importorskip('playwright.sync_api', reason='playwright is not installed')
    program = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    with sync_api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=program, args=['--no-sandbox', *arguments]
            )
        except sync_api.Error as err:
            pytest.skip(f'no headless browser is installed: {str(err).splitlines()[0]}')
        try:
            yield browser
        finally:
            browser.close()


def look(
    browser: Any, page: Path, size: tuple[int, int] = DESKTOP, picture: Path | None = None
) -> Look:
    """
    Open a page of this machine without a network and look at it.

    :param browser: see headless.
    :param page: HTML file.
    :param size: of the screen in px.
    :param picture: where to keep a PNG of the whole page; None for none.
    """
    context = browser.new_context(
        viewport={'width': size[0], 'height': size[1]}, offline=True, is_mobile=size[0] < 600
    )
    errors: list[str] = []
    requests: list[str] = []
    try:
        tab = context.new_page()
        tab.on('console', lambda m: errors.append(m.text) if m.type == 'error' else None)
        tab.on('pageerror', lambda e: errors.append(str(e)))
        tab.on('requestfailed', lambda r: errors.append(f'failed: {r.url[:80]}'))
        address = page.resolve().as_uri()
        tab.on(
            'request',
            lambda r: (
                requests.append(r.url[:80]) if not r.url.startswith(('data:', address)) else None
            ),
        )
        tab.goto(address, wait_until='load')
        if picture is not None:
            tab.screenshot(path=str(picture), full_page=True)
        return Look(errors, requests, **tab.evaluate(PROBE, size[0]))
    finally:
        context.close()


def check(found: Look, size: tuple[int, int]) -> list[str]:
    """
    What is wrong with a page, in words; nothing if it is right.

    :param found: see look; :param size: of the screen in px.
    """
    wrong = [f'error: {text}' for text in found.errors]
    wrong += [f'asks for {url}' for url in found.requests]
    wrong += [f'picture not loaded: {alt}' for alt in found.broken]
    if found.unnamed:
        wrong.append(f'{found.unnamed} pictures without alt text')
    if found.width > size[0]:
        wrong.append(f'page is {found.width} px wide on a screen of {size[0]} px')
    wrong += [f'sticks out: {text}' for text in found.wide]
    if found.smallest < 11:
        wrong.append(f'text of {found.smallest} px')
    return wrong
