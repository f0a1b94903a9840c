# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pages that work offline: pictures as data URLs, one file, the same style for every report."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

TEMPLATES = Path(__file__).parent / 'templates'
"""Folder of the templates; page.html.j2 holds what all pages share."""


@dataclass(frozen=True)
class Report:
    """
    A written report.

    :param page: path of index.html; :param figures: content of report.json.
    """

    page: Path
    figures: dict[str, Any]


@dataclass(frozen=True)
class Picture:
    """
    A picture of the page.

    :param name: file name; :param title: caption; :param alt: what it shows; :param data: PNG.
    """

    name: str
    title: str
    alt: str
    data: bytes
    wide: bool = False

    @property
    def url(self) -> str:
        """Content as a data URL, so that the page is one file."""
        return 'data:image/png;base64,' + base64.b64encode(self.data).decode()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in px, as the PNG header says."""
        return int.from_bytes(self.data[16:20], 'big'), int.from_bytes(self.data[20:24], 'big')


def render(template: str, figures: dict[str, Any], **values: Any) -> str:
    """
    Fill a template.

    :param template: file name in the folder of templates.
    :param figures: content of report.json; the template knows it as ``r``.
    :param values: what else the template uses.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters['number'] = number
    environment.filters['percent'] = percent
    environment.filters['change'] = change
    return environment.get_template(template).render(r=plain(figures), **values)


def number(value: float | None, digits: int = 3) -> str:
    """Number for a table; a dash where there is none."""
    return '–' if value is None else f'{value:.{digits}f}'


def percent(value: float | None, digits: int = 1) -> str:
    """Share for a table in percent; a dash where there is none."""
    return '–' if value is None else f'{100 * value:.{digits}f} %'


def change(reduction: float | None) -> str:
    """Change of an error in percent, from the share by which it fell; a dash where unknown."""
    if reduction is None:
        return '–'
    text = f'{-100 * reduction:+.1f}'
    return '0.0 %' if float(text) == 0 else f'{text.replace("-", "−")} %'


def plain(value: Any) -> Any:
    """
    Same content with what JSON knows; numbers that are not finite become None.

    :param value: nested dicts, lists, numbers of Python or NumPy, and text.
    """
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, (bool, str)) or value is None:
        return value
    if isinstance(value, (int, np.integer)):
        return int(value)
    found = float(value)
    return float(f'{found:.6g}') if np.isfinite(found) else None
