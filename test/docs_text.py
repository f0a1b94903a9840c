# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a page of documentation says to machines: its links, anchors, commands and paths."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
FENCE = re.compile(r'^(```+|~~~+).*?^\1\s*$', re.M | re.S)
INLINE = re.compile(r'(`+)(.+?)\1', re.S)
LINK = re.compile(r'!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)')


def pages():
    """Every page of the repository, by its relative path."""
    found = [REPOSITORY / name for name in ('README.md', 'CONTRIBUTING.md')]
    found += [REPOSITORY / name for name in ('QUALITY_DECLARATION.md', 'models/README.md')]
    found += sorted((REPOSITORY / 'docs').glob('*.md'))
    return {file.relative_to(REPOSITORY).as_posix(): file.read_text('utf-8') for file in found}


def prose(text):
    """The page without code, where alone links and headings are."""
    return INLINE.sub(lambda found: '`' * len(found[0]), FENCE.sub('', text))


def links(text):
    """Targets of every link and picture."""
    return LINK.findall(prose(text)) + re.findall(r'^\[[^\]]+\]:\s+(\S+)', prose(text), re.M)


def anchors(text):
    """Anchors of the headings, as GitHub makes them."""
    found, seen = set(), {}
    for title in re.findall(r'^#{1,6}\s+(.+?)\s*#*$', FENCE.sub('', text), re.M):
        title = re.sub(r'!?\[([^\]]*)\]\([^)]*\)', r'\1', title)
        slug = re.sub(r'[^\w\- ]', '', title.lower()).replace(' ', '-')
        count = seen.get(slug, -1) + 1
        seen[slug] = count
        found.add(f'{slug}-{count}' if count else slug)
    return found


def code(text):
    """
    Every piece of code: fenced, indented and inline; continued lines are joined, comments cut.

    A line of a block is a piece of its own.
    """
    blocks = [found[0] for found in FENCE.finditer(text)]
    rest = FENCE.sub('', text)
    blocks += re.findall(r'(?:^|\n\n)((?:    [^\n]+(?:\n|$))+)', rest)
    pieces = []
    for block in blocks:
        joined = re.sub(r'\s*\\\n\s*', ' ', block)
        lines = (line for line in joined.splitlines() if not line.startswith(('```', '~~~')))
        pieces += [re.sub(r'(^|\s)#\s.*$', '', line).strip() for line in lines]
    # what is shown inside of a table may hold a broken line, but no block
    pieces += [' '.join(found[1].split()) for found in INLINE.findall(rest)]
    return [piece for piece in pieces if piece]


def commands(text):
    """Every command line: pieces of code cut at the operators of the shell."""
    return [
        part.strip()
        for piece in code(text)
        for part in re.split(r'&&|\|\||;|\s\|\s', piece)
        if part.strip()
    ]
