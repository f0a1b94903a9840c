# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Journal of a unit: a line per frame, so that an evaluation that was interrupted can go on.

The first line says what the journal belongs to, the last one that it is complete. A line that was
cut off by a crash is thrown away with all that follows it.
"""

from __future__ import annotations

import json
import math
import time
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monother_ros.core.errors import SettingsError
from monother_ros.core.parsing import parse_json
from monother_ros.evaluation.evaluate.pictures import Keeper, KeptFrame, unpack
from monother_ros.evaluation.evaluate.unit import Rows

FORMAT = 1
"""Of the lines."""

FLUSH = 0.5
"""Seconds after which lines are handed to the system."""


LARGEST = 2**63 - 1
"""Largest number of a frame and time in nanoseconds that a row holds."""


@dataclass
class Progress:
    """
    What is known of a unit so far.

    :ivar rows: of the scored frames. :ivar skipped: number of the others by reason.
    :ivar frames: number of frames seen. :ivar first: stamp of the first one, ns.
    :ivar last: of the last one. :ivar next_index: of the frame that comes next.
    :ivar keeper: pictures. :ivar done: nothing is left to do. :ivar notes: for people.
    """

    rows: Rows
    skipped: Counter[str] = field(default_factory=Counter)
    frames: int = 0
    first: int = 0
    last: int = 0
    next_index: int = 0
    keeper: Keeper = field(default_factory=Keeper)
    done: bool = False
    notes: list[str] = field(default_factory=list)

    def note(self, index: int, stamp: int) -> None:
        """Count a frame."""
        self.first = stamp if not self.frames else self.first
        self.last = stamp
        self.frames += 1
        self.next_index = index + 1

    def scored(self, index: int, stamp: int, condition: str, values: list[float]) -> None:
        """Take the numbers of a frame."""
        self.note(index, stamp)
        self.rows.add(index, stamp, condition, values)

    def left_out(self, index: int, stamp: int, reason: str) -> None:
        """Count a frame that was not scored."""
        self.note(index, stamp)
        self.skipped[reason] += 1


class Journal:
    """
    Lines of one unit on disk, or nothing at all.

    :param folder: of the journals; None for none.
    :param key: digest of everything that the rows depend on.
    :param columns: names of the numbers.
    :raises SettingsError: the folder cannot be written.
    """

    def __init__(self, folder: Path | None, key: str, columns: tuple[str, ...]) -> None:
        """See the class."""
        self.key, self.columns = key, columns
        self._path = None if folder is None else folder / f'{key}.jsonl'
        self._pictures = None if folder is None else folder / f'{key}.frames'
        self._file: Any = None
        self._flushed = 0.0

    def load(self) -> Progress:
        """
        Read what is there, cut off what is damaged, and open the file for more.

        :raises SettingsError: the folder cannot be written.
        """
        progress = Progress(Rows(self.columns))
        if self._path is None:
            return progress
        header = json.dumps({'format': FORMAT, 'key': self.key, 'columns': len(self.columns)})
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            good = 0
            if self._path.exists():
                good = self._read(header, progress)
            self._file = self._path.open('r+b' if good else 'wb')
            self._file.truncate(good)
            self._file.seek(good)
            if not good:
                self._write(header)
        except OSError as err:
            msg = f'the journal {self._path} cannot be written: {err}'
            raise SettingsError(msg) from err
        self._load_pictures(progress)
        return progress

    def _read(self, header: str, progress: Progress) -> int:
        """Read lines into the progress; returns the number of good bytes."""
        assert self._path is not None
        good = 0
        with self._path.open('rb') as file:
            for k, raw in enumerate(file):
                if not raw.endswith(b'\n'):
                    break
                if k == 0:
                    if raw.decode(errors='replace').rstrip('\n') != header:
                        return 0
                elif not _take(raw, progress):
                    break
                good += len(raw)
        return good

    def _load_pictures(self, progress: Progress) -> None:
        """Pictures that the rows ask for."""
        rows = progress.rows
        if self._pictures is None or not len(rows):
            return
        column = rows.matrix()[:, self.columns.index('abs_rel')].tolist()
        places = zip(rows.index, rows.stamp, rows.condition, column, strict=True)
        for index, stamp, condition, value in places:
            progress.keeper.offer(
                KeptFrame(index, stamp, rows.conditions[condition], value, b''), self._forget
            )
        progress.keeper.fill(self._stored)

    def _stored(self, index: int) -> bytes | None:
        """Content of a picture on disk, None where it is missing or damaged."""
        assert self._pictures is not None
        try:
            data = (self._pictures / f'{index}.npz').read_bytes()
            unpack(data)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        return data

    def _forget(self, index: int) -> None:
        """Remove a picture that is not kept any more."""
        if self._pictures is not None:
            (self._pictures / f'{index}.npz').unlink(missing_ok=True)

    def picture(self, keeper: Keeper, frame: KeptFrame) -> None:
        """
        Keep a picture, on disk as well; before the line of its frame is written.

        :param keeper: that wants it. :param frame: with its content.
        """
        keeper.offer(frame, self._forget)
        if self._pictures is not None:
            self._pictures.mkdir(exist_ok=True)
            # a file that a crash cuts off is noticed when it is read
            (self._pictures / f'{frame.index}.npz').write_bytes(frame.data)

    def scored(self, index: int, stamp: int, condition: str, values: list[float]) -> None:
        """Write the line of a scored frame."""
        numbers = [v if math.isfinite(v) else None for v in values]
        self._line({'i': index, 't': stamp, 'c': condition, 'v': numbers})

    def left_out(self, index: int, stamp: int, reason: str) -> None:
        """Write the line of a frame that was not scored."""
        self._line({'i': index, 't': stamp, 's': reason})

    def done(self, notes: list[str]) -> None:
        """Write the last line."""
        self._line({'done': True, 'notes': notes})

    def close(self) -> None:
        """Write what is left; closing twice is allowed."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _line(self, content: dict[str, Any]) -> None:
        """Write a line."""
        if self._file is not None:
            self._write(json.dumps(content, separators=(',', ':')))

    def _write(self, text: str) -> None:
        """Write a text and hand it to the system now and then."""
        self._file.write(text.encode() + b'\n')
        now = time.monotonic()
        if now - self._flushed > FLUSH:
            self._file.flush()
            self._flushed = now


def _take(raw: bytes, progress: Progress) -> bool:
    """Take one line; False where it is damaged."""
    try:
        line = parse_json(raw)
        if 'done' in line:
            progress.done = True
            progress.notes = [str(note) for note in line['notes']]
        elif 's' in line:
            progress.left_out(int(line['i']), int(line['t']), str(line['s']))
        else:
            values = [math.nan if v is None else float(v) for v in line['v']]
            index, stamp = int(line['i']), int(line['t'])
            if not (0 <= index <= LARGEST and abs(stamp) <= LARGEST):
                return False
            progress.scored(index, stamp, str(line['c']), values)
    except (ValueError, KeyError, TypeError, OverflowError):
        return False
    return True
