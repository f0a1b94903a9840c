# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A bounded, diverse memory of pairs on disk that survives restarts and being killed.

One file per pair, whole or not at all, and one per rig: `pair-<number>.safetensors` and
`rig-<key>.safetensors`. Room is made before a file is written, so the files never take more than
the capacity, counted in whole blocks of the disk.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.errors import AdaptationError, SettingsError
from monother_ros.learning.replay_store import (
    SUFFIX,
    DamagedError,
    FolderStore,
    MemoryStore,
    Store,
    cost,
    pack_pair,
    pack_rig,
    unpack_head,
    unpack_pair,
    unpack_rig,
)
from monother_ros.learning.replay_view import describe, most_redundant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monother_ros.learning.online_pair import OnlinePair, RigView

CACHE_BYTES = 32 << 20
"""Pairs that were read last are kept in memory up to this size."""

COMPARED = 512
"""Pairs of a larger memory that are drawn to be compared when one must go."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Entry:
    """What is known of a stored pair without reading it."""

    rig: str
    view: NDArray[np.float32]
    cost: int


class ReplayBuffer:
    """
    Memory of pairs; for one thread.

    When it is full, the pair goes that is most like another one in what it shows and when it came;
    this may be the new one.

    :param folder: made where missing, for one process at a time; None keeps all in memory under
        the same bound.
    :param capacity_bytes: never exceeded on disk (or in memory), > 0. A smaller one than at the
        last start makes the memory shrink.
    :param seed: of :meth:`sample`.
    :param cache_bytes: of the pairs kept in memory beside the files.
    :raises AdaptationError: the folder cannot be used or is in use.
    """

    def __init__(
        self,
        folder: str | Path | None,
        capacity_bytes: int,
        seed: int = 0,
        *,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        if capacity_bytes <= 0:
            msg = (
                f'the capacity of the memory of pairs is {capacity_bytes} bytes; use a larger one'
            )
            raise SettingsError(msg)
        self.capacity_bytes = int(capacity_bytes)
        self.damaged = 0
        """Files that could not be read and were dropped, since the start."""
        self.evicted = 0
        """Pairs that had to go, since the start."""
        self._store: Store = MemoryStore() if folder is None else FolderStore(folder)
        self._cache_bytes = 0 if folder is None else cache_bytes
        self._cache: OrderedDict[int, tuple[OnlinePair, int]] = OrderedDict()
        self._cached = 0
        self._entries: dict[int, _Entry] = {}
        self._rigs: dict[str, tuple[RigView, int]] = {}
        self._next = 0
        self._load()
        self._rng = np.random.default_rng([seed, self._next])
        self._make_room(0)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[OnlinePair]:
        """All pairs in the order in which they came, read one after the other."""
        for number in sorted(self._entries):
            pair = self._get(number)
            if pair is not None:
                yield pair

    @property
    def bytes(self) -> int:
        """What all files take, in whole blocks."""
        pairs = sum(entry.cost for entry in self._entries.values())
        return pairs + sum(taken for _, taken in self._rigs.values())

    def add(self, pair: OnlinePair) -> bool:
        """
        Remember a pair, if it adds more than what would have to go for it.

        :param pair: with the teacher's depth.
        :returns: whether it is in the memory now.
        :raises AdaptationError: the disk is full or cannot be written; the memory goes on with
            what it holds. Or the capacity is less than one pair takes.
        """
        view = describe(pair)
        data = pack_pair(pair, view)
        key = pair.rig.key
        rig = None if key in self._rigs else pack_rig(pair.rig)
        need = cost(len(data))
        least = need + (self._rigs[key][1] if rig is None else cost(len(rig)))
        if least > self.capacity_bytes:
            msg = (
                f'one pair takes {least} bytes, but the memory of pairs may hold '
                f'{self.capacity_bytes}; give it more'
            )
            raise AdaptationError(msg)
        number, self._next = self._next, self._next + 1
        entry = _Entry(key, view.astype(np.float32), need)
        room = need + (0 if rig is None else cost(len(rig)))
        try:
            if not self._make_room(room, (number, entry)):
                return False
            if rig is not None:
                self._store.write(_rig_name(key), rig)
                self._rigs[key] = (pair.rig, cost(len(rig)))
            self._store.write(_pair_name(number), data)
            self._entries[number] = entry
        finally:
            self._drop_unused_rig(key)
        return True

    def sample(self, n: int) -> list[OnlinePair]:
        """
        Pairs at random, each as likely as any other and at most once.

        :param n: how many; fewer come where the memory holds fewer.
        """
        found: list[OnlinePair] = []
        left = sorted(self._entries)
        for place in self._rng.permutation(len(left)).tolist():
            if len(found) >= n:
                break
            pair = self._get(left[place])
            if pair is not None:
                found.append(pair)
        return found

    def pairs(self) -> list[OnlinePair]:
        """All pairs in the order in which they came, all in memory: for small memories."""
        return list(self)

    def discard_newest(self, count: int) -> int:
        """
        Forget the pairs that came last, as where they turn out to be wrong.

        :param count: how many.
        :returns: how many there were.
        """
        numbers = sorted(self._entries)[-count:] if count > 0 else []
        for number in numbers:
            self._remove(number)
        return len(numbers)

    def clear(self) -> None:
        """Forget all pairs."""
        for number in list(self._entries):
            self._remove(number)

    def close(self) -> None:
        """Let another process use the folder; nothing may be asked of the memory any more."""
        self._store.close()

    def _load(self) -> None:
        """Read what is there; drop what is damaged or belongs to nothing."""
        names = self._store.names()
        heads: dict[int, _Entry] = {}
        for name in sorted(n for n in names if n.startswith('pair-')):
            number = int(name[len('pair-') : -len(SUFFIX)], 16)
            self._next = max(self._next, number + 1)
            try:
                key, view = unpack_head(self._store.read(name))
            except DamagedError as err:
                self._drop(name, err)
                continue
            heads[number] = _Entry(key, view, cost(names[name]))
        used = {entry.rig for entry in heads.values()}
        for name in (n for n in names if n.startswith('rig-')):
            key = name[len('rig-') : -len(SUFFIX)]
            if key not in used:
                self._store.remove(name)
                continue
            try:
                rig = unpack_rig(self._store.read(name))
                if rig.key != key:
                    msg = 'it holds another rig than its name says'
                    raise DamagedError(msg)
                self._rigs[key] = (rig, cost(names[name]))
            except DamagedError as err:
                self._drop(name, err)
        for number, entry in heads.items():
            if entry.rig in self._rigs:
                self._entries[number] = entry
            else:
                self._drop(_pair_name(number), DamagedError(f'its rig {entry.rig} is missing'))

    def _drop(self, name: str, reason: DamagedError) -> None:
        """Remove a file that is of no use and say so."""
        self.damaged += 1
        _log.warning('dropped %s of the memory of pairs: %s', name, reason)
        self._store.remove(name)

    def _get(self, number: int) -> OnlinePair | None:
        """A pair; None where its file is damaged, which drops it."""
        if number in self._cache:
            self._cache.move_to_end(number)
            return self._cache[number][0]
        entry = self._entries[number]
        name = _pair_name(number)
        try:
            pair = unpack_pair(self._store.read(name), self._rigs[entry.rig][0])
        except DamagedError as err:
            self._drop(name, err)
            self._remove(number)
            return None
        if entry.cost <= self._cache_bytes:
            self._cache[number] = (pair, entry.cost)
            self._cached += entry.cost
            while self._cached > self._cache_bytes:
                self._cached -= self._cache.popitem(last=False)[1][1]
        return pair

    def _remove(self, number: int, keep: str = '') -> None:
        """Forget a pair, and its rig with its last one, unless that is to be kept."""
        self._store.remove(_pair_name(number))
        entry = self._entries.pop(number)
        if number in self._cache:
            self._cached -= self._cache.pop(number)[1]
        if entry.rig != keep:
            self._drop_unused_rig(entry.rig)

    def _drop_unused_rig(self, key: str) -> None:
        if key in self._rigs and not any(e.rig == key for e in self._entries.values()):
            self._store.remove(_rig_name(key))
            del self._rigs[key]

    def _make_room(self, need: int, new: tuple[int, _Entry] | None = None) -> bool:
        """
        Let pairs go until some bytes are free.

        :param need: bytes.
        :param new: pair that wants to come in.
        :returns: False where the new pair itself is the one that can be spared.
        """
        while self.bytes + need > self.capacity_bytes and self._entries:
            spared = self._spare(new)
            if new is not None and spared == new[0]:
                return False
            self._remove(spared, keep='' if new is None else new[1].rig)
            self.evicted += 1
        return True

    def _spare(self, new: tuple[int, _Entry] | None) -> int:
        """Number of the pair that is most like another one."""
        numbers = sorted(self._entries)
        if len(numbers) > COMPARED:
            drawn = self._rng.choice(len(numbers), COMPARED, replace=False)
            numbers = [numbers[k] for k in np.sort(drawn).tolist()]
        views = [self._entries[k].view for k in numbers]
        if new is not None:
            numbers, views = [*numbers, new[0]], [*views, new[1].view]
        if len(numbers) == 1:
            return numbers[0]
        return numbers[most_redundant(np.stack(views), np.array(numbers, np.int64))]


def _pair_name(number: int) -> str:
    return f'pair-{number:012x}{SUFFIX}'


def _rig_name(key: str) -> str:
    return f'rig-{key}{SUFFIX}'
