# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Report of a drive on which the model learned: error over time, decisions, before and after."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from monother_ros.core.bundle import Bundle, load_bundle
from monother_ros.core.errors import MonotherError
from monother_ros.core.files import atomic_write
from monother_ros.evaluation import figures, plots
from monother_ros.evaluation.adaptation_figures import (
    BACK,
    NOTHING,
    SECOND,
    is_learned,
    learning_figures,
    live_figures,
    node_figures,
    smooth,
    unseen_figures,
    why_nothing,
)
from monother_ros.evaluation.adaptation_run import (
    LiveFrame,
    UnseenFrame,
    compare_live,
    compare_unseen,
)
from monother_ros.evaluation.figures import COLOURS
from monother_ros.evaluation.learning_status import of_node, read_learning, revision_runs
from monother_ros.evaluation.page import Picture, Report, plain, render
from monother_ros.evaluation.recording import INPUT_ROLES, OUTPUT_ROLES, Recording
from monother_ros.evaluation.status import read_status
from monother_ros.evaluation.summary import measure
from monother_ros.learning.revision_files import number_of
from monother_ros.learning.revision_reader import RevisionReader
from monother_ros.ros.messages import message_to_array, rgb_array, stamp_ns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monother_ros.evaluation.learning_status import RevisionRun

LEARNING_ROLES = {
    'loss': ('/loss',),
    'teacher': ('/teacher/depth',),
    'trust': ('/teacher/confidence',),
    'mask': ('/mask',),
}
"""What the adapt node publishes: role → topic names."""

WINDOW = 6.0
"""Seconds over which the error of the drive is averaged for the line of the plot."""

BEFORE, AFTER = '#8a93a5', COLOURS[0]
"""Colours of the model as it came and of what was published."""


@dataclass(frozen=True)
class Sources:
    """
    What a report of learning is made of.

    :param recorded: bag of what both nodes published.
    :param given: bag that was played.
    :param base: the model as it came.
    :param revisions: folder of the store of revisions.
    :param unseen: condition → bag of frames that were never played.
    :param topics: role → topic, where the played bag names its topics differently.
    :param about: facts about the drive for the page.
    """

    recorded: Path
    given: Path
    base: Bundle
    revisions: Path
    unseen: Mapping[str, Path] = field(default_factory=dict)
    topics: Mapping[str, str] = field(default_factory=dict)
    about: Mapping[str, str] = field(default_factory=dict)


def build_adaptation(
    sources: Sources,
    out: Path,
    *,
    title: str,
    shown: int = 3,
    progress: Callable[[float], None] | None = None,
) -> Report:
    """
    Measure a drive on which the model learned, and write its report.

    :param sources: bags and models.
    :param out: folder that gets index.html, report.json and pictures/.
    :param title: heading of the page.
    :param shown: frames of each condition that are shown.
    :param progress: called with the share that is done.
    :returns: the page's path and the figures.
    :raises BagError: a bag cannot be read, or holds no depth or no thermal image.
    :raises OSError: the folder cannot be written.
    """
    say = progress or (lambda share: None)
    with (
        Recording(sources.recorded, {**OUTPUT_ROLES, **LEARNING_ROLES}) as recorded,
        Recording(sources.given, INPUT_ROLES, sources.topics) as given,
    ):
        run = measure(recorded, given, progress=lambda share: say(0.3 * share))
        said = [(entry.log, message) for entry, message in recorded.messages('diagnostics')]
        run.status = read_status(of_node(said, 'depth_node'))
        status = read_learning(of_node(said, 'adapt_node'))
        runs = revision_runs(of_node(said, 'depth_node'))
        base = runs[0].revision if runs else sources.base.revision
        live = compare_live(
            recorded, given, sources.base, runs, lambda share: say(0.3 + 0.3 * share)
        )
        node = node_figures(run, recorded, given)
        shift = float(np.median([f.time - f.received / SECOND for f in run.frames]))
        loss = _loss(recorded, shift)
        lessons = _lessons(recorded, given, run.origin)
        origin = run.origin
    notes = list(node.pop('notes'))
    store = RevisionReader(sources.revisions)
    last, problem = _last_revision(store, runs[-1].revision if runs else '')
    notes += problem
    if last is None and not problem:
        back = any(is_learned(run.revision) for run in runs)
        notes[:0] = [f'{BACK if back else NOTHING} {why_nothing(status)}']
    unseen = {
        name: compare_unseen(path, sources.base, last, shown)
        for name, path in sources.unseen.items()
    }
    say(0.8)
    numbers: dict[str, Any] = {
        'title': title,
        'about': dict(sources.about),
        'recorded': sources.recorded.name,
        'input': sources.given.name,
        'duration': node.pop('duration'),
        'learned': last is not None,
        'base': base,
        'revision': base if last is None else last.revision,
        'live': live_figures(live),
        'unseen': {name: unseen_figures(frames) for name, frames in unseen.items()},
        'learning': learning_figures(status, runs, store.revisions(), origin),
        'depth_node': node,
        'swaps': _swaps(runs, origin),
        'series': {
            'before': [[f.time, f.before] for f in live],
            'published': [[f.time, f.live] for f in live],
            'loss': loss,
        },
        'notes': notes,
    }
    charts = _charts(live, numbers)
    moments = [
        (name, frame, _tiles(frame, f'{name}{k}'))
        for name, frames in unseen.items()
        for k, frame in enumerate((f for f in frames if f.thermal is not None), 1)
    ]
    pictures = [
        *charts,
        *(p for _, _, t in moments for p in t),
        *(p for _, t in lessons for p in t),
    ]
    for picture in pictures:
        atomic_write(out / 'pictures' / picture.name, picture.data)
    content = plain(numbers)
    atomic_write(out / 'report.json', json.dumps(content, indent=2) + '\n')
    page = atomic_write(
        out / 'index.html',
        render('adaptation.html.j2', numbers, charts=charts, moments=moments, lessons=lessons),
    )
    say(1.0)
    return Report(page, content)


def _swaps(runs: Sequence[RevisionRun], origin: int) -> list[dict[str, Any]]:
    """Changes between revisions that compute something else."""
    return [
        {
            'time': (run.first - origin) / SECOND,
            'revision': run.revision,
            'number': number_of(run.revision) or 0,
        }
        for before, run in itertools.pairwise(runs)
        if is_learned(run.revision) or is_learned(before.revision)
    ]


def _last_revision(store: RevisionReader, running: str) -> tuple[Bundle | None, list[str]]:
    """Revision that the depth node ran at the end; None where that is the model as it came."""
    if not is_learned(running):
        return None, []
    try:
        return load_bundle(store.path(running)), []
    except MonotherError as err:
        return None, [f'The revision {running} that made the last frames cannot be read: {err}']


def _loss(recorded: Recording, shift: float) -> list[list[float]]:
    """Time of the drive in s and loss of each step; the message has no stamp of its own."""
    return [
        [entry.log / SECOND + shift, float(message.data)]
        for entry, message in recorded.messages('loss')
    ]


def _lessons(
    recorded: Recording, given: Recording, origin: int, most: int = 2
) -> list[tuple[float, list[Picture]]]:
    """What the teacher said at some moments, with how far it was believed."""
    by_stamp: dict[int, dict[str, NDArray[Any]]] = {}
    for role in ('teacher', 'trust', 'mask'):
        for _, message in recorded.messages(role):
            by_stamp.setdefault(stamp_ns(message), {})[role] = message_to_array(message)
    whole = sorted(stamp for stamp, group in by_stamp.items() if 'teacher' in group)
    chosen = sorted(
        {whole[int((k + 0.5) * len(whole) / most)] for k in range(most)} if whole else ()
    )
    found = []
    for k, stamp in enumerate(chosen, 1):
        group, time = by_stamp[stamp], (stamp - origin) / SECOND
        pictures = []
        colour = given.at('rgb', stamp)
        if colour is not None:
            data = figures.picture_tile(rgb_array(colour))
            pictures.append(
                Picture(f'lesson{k}_rgb.png', 'RGB camera', f'Colour image at {time:.1f} s', data)
            )
        data = figures.map_tile(group['teacher'], 'depth')
        alt = f'Depth in metres that the teacher told at {time:.1f} s, near is red'
        pictures.append(Picture(f'lesson{k}_teacher.png', 'What the teacher said', alt, data))
        if 'trust' in group:
            trust = group['trust'].astype(np.float32)
            if 'mask' in group and group['mask'].shape == trust.shape:
                trust = np.where(group['mask'] > 0, trust, np.nan)
            data = figures.map_tile(trust, 'confidence')
            alt = f'Confidence in the teacher from 0 to 1 at {time:.1f} s, bright is believed'
            title = 'How far it was believed (grey: not used)'
            pictures.append(Picture(f'lesson{k}_trust.png', title, alt, data))
        found.append((time, pictures))
    return found


def _charts(live: Sequence[LiveFrame], numbers: Mapping[str, Any]) -> list[Picture]:
    """Error, loss and rate over the time of the drive."""
    marks = [(s['time'], f'rev {s["number"]}') for s in numbers['swaps']]
    borders = [time for time, _ in marks]
    span = [(0.0, float(numbers['duration']), '')]
    found = []
    if live:
        times = [f.time for f in live]
        before, after = [f.before for f in live], [f.live for f in live]
        data = plots.time_plot(
            [
                plots.Series('', times, before, BEFORE, dots=True),
                plots.Series('', times, after, AFTER, dots=True),
                plots.Series(
                    'the model as it came', times, smooth(times, before, WINDOW, borders), BEFORE
                ),
                plots.Series('published', times, smooth(times, after, WINDOW, borders), AFTER),
            ],
            'AbsRel',
            span,
            marks=marks,
        )
        alt = 'Plot of AbsRel over time, as published and of the model as it came'
        found.append(Picture('error.png', 'Error of depth over the drive', alt, data))
    loss = numbers['series']['loss']
    if loss:
        x, y = [p[0] for p in loss], [p[1] for p in loss]
        data = plots.time_plot(
            [
                plots.Series('', x, y, COLOURS[1], dots=True),
                plots.Series('loss', x, smooth(x, y, WINDOW), COLOURS[1]),
            ],
            'loss of a step',
            span,
            marks=marks,
        )
        found.append(
            Picture('loss.png', 'Loss of the learner', 'Plot of the loss over time', data)
        )
    rates = numbers['depth_node']['series']
    lines = [
        plots.Series('thermal frames in', *_columns(rates['rate_in']), BEFORE),
        plots.Series('depth published', *_columns(rates['rate_out']), AFTER),
    ]
    data = plots.time_plot(lines, 'frames per second', span, marks=marks)
    alt = 'Plot of input and published frames per second over time'
    found.append(Picture('rate.png', 'Rate of the depth node', alt, data))
    return found


def _columns(pairs: Sequence[Sequence[float]]) -> tuple[list[float], list[float]]:
    """Times and values of a series."""
    return [p[0] for p in pairs], [p[1] for p in pairs]


def _tiles(frame: UnseenFrame, name: str) -> list[Picture]:
    """Pictures of a frame that was never played, before and after."""
    assert frame.thermal is not None and frame.truth is not None
    maps = [m for m in (frame.truth, frame.depth_before, frame.depth_after) if m is not None]
    norm = figures.depth_norm(np.stack(maps))
    found = [
        Picture(
            f'{name}_thermal.png',
            'Thermal camera',
            'Thermal image, warm is bright',
            figures.picture_tile(figures.thermal_picture(frame.thermal), ['inferno']),
        ),
        Picture(
            f'{name}_truth.png',
            'True depth',
            'True depth in metres, near is red and far is blue',
            figures.map_tile(frame.truth, 'depth', norm),
        ),
    ]
    sides = (('before', frame.depth_before), ('after', frame.depth_after))
    for kind, depth in sides:
        if depth is not None:
            data = figures.map_tile(depth, 'depth', norm)
            alt = f'Depth in metres {kind} learning, near is red and far is blue'
            found.append(Picture(f'{name}_depth_{kind}.png', f'Depth {kind}', alt, data))
    for kind, depth in sides:
        if depth is not None:
            error = (np.abs(depth - frame.truth) / frame.truth).astype(np.float32)
            data = figures.map_tile(error, 'error')
            alt = f'Relative error {kind} learning, dark is right'
            found.append(Picture(f'{name}_error_{kind}.png', f'Error {kind}', alt, data))
    return found
