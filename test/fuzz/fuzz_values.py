# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Damage to bytes, to texts and to nested values, drawn from a generator."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import numpy as np

NUMBERS = (
    *(0, 1, -1, 2, 255, 256, 2**31 - 1, 2**31, 2**32 - 1, -(2**31), 2**63 - 1, 2**64, -(2**63)),
    *(0.0, -0.0, 0.5, 1e-300, 1e300, -1e300, 1e38, 1e39, math.nan, math.inf, -math.inf),
)
"""Numbers at which something ends: of types, of floats, of what a division stands."""

TEXTS = (
    *('', ' ', '0', '-1', 'nan', '1e999', 'null', 'true', '{}', '[]', '..', '../../etc/passwd'),
    *('/', '/dev/zero', 'a' * 300, 'a/b', '\x00', '\n', 'ünï', '\U0001f525', '%s%n', '${HOME}'),
    *('C:\\x', '~', '.', '-', 'a: b', '!!python/object:os.system', '&a [*a]', '1' * 5000),
)
"""Texts that mean something to a parser, a file system or a formatter."""

OTHERS = (
    *(None, True, False, [], {}, [[]], [None], {'': None}, [0] * 40, {'a': {'a': {'a': 1}}}),
    *(10**400, -(10**400)),
)


def strange(rng: np.random.Generator) -> Any:
    """A value that nobody expects."""
    pool = (NUMBERS, TEXTS, OTHERS)[rng.integers(3)]
    return copy.deepcopy(pool[rng.integers(len(pool))])


def number(rng: np.random.Generator) -> float:
    """A number: an edge case, or anything."""
    if rng.random() < 0.6:
        return NUMBERS[rng.integers(len(NUMBERS))]
    return float(rng.normal() * 10.0 ** rng.uniform(-12, 12))


def unsigned(rng: np.random.Generator, usual: int, bits: int = 32) -> int:
    """A whole number that an unsigned field holds: near the usual one, or anywhere."""
    top = 2**bits - 1
    draws = (
        0,
        1,
        usual,
        usual - 1,
        usual + 1,
        2 * usual,
        usual // 2,
        top,
        top // 2 + 1,
        int(rng.integers(0, top, endpoint=True)),
        int(rng.integers(0, 4 * usual + 4)),
    )
    return min(max(0, draws[rng.integers(len(draws))]), top)


def damaged(data: bytes, rng: np.random.Generator, most: int = 4) -> bytes:
    """Bytes with one to some pieces of damage; never the same bytes."""
    result = bytearray(data)
    for _ in range(int(rng.integers(1, most + 1))):
        result = _damage(result, rng)
    if bytes(result) == data:
        result.append(int(rng.integers(256)))
    return bytes(result)


def _damage(data: bytearray, rng: np.random.Generator) -> bytearray:
    """One piece of damage."""
    size = len(data)
    kind = rng.integers(9)
    if size == 0 or kind == 0:
        return data + rng.integers(0, 256, int(rng.integers(1, 64)), np.uint8).tobytes()
    # headers and indices lie at the ends
    near = (int(rng.integers(min(size, 64))), size - 1 - int(rng.integers(min(size, 64))))
    place = (*near, int(rng.integers(size)))[rng.integers(3)]
    length = int(rng.integers(1, 1 + min(64, size - place)))
    if kind == 1:
        return data[:place]
    if kind == 2:
        data[place] ^= 1 << int(rng.integers(8))
    elif kind == 3:
        data[place] = int(rng.integers(256))
    elif kind == 4:
        del data[place : place + length]
    elif kind == 5:
        data[place : place + length] = bytes(length)
    elif kind == 6:
        width = int(rng.choice([1, 2, 4, 8]))
        value = (0, 2 ** (8 * width) - 1, 2 ** (8 * width - 1), 2 ** (8 * width - 1) - 1)
        order = ('little', 'big')[rng.integers(2)]
        data[place : place + width] = value[rng.integers(4)].to_bytes(width, order)
    elif kind == 7:
        other = int(rng.integers(size))
        data[place:place] = data[other : other + length]
    else:
        data[place : place + length] = rng.integers(0, 256, length, np.uint8).tobytes()
    return data


def damaged_json(value: Any, rng: np.random.Generator) -> bytes:
    """JSON of a value: with changes in it, with damage to its text, or past a parser's limits."""
    draw = rng.random()
    if draw < 0.7:
        return json.dumps(altered(value, rng)).encode()
    good = json.dumps(value).encode()
    if draw < 0.76:
        # more digits than Python turns into a number; deeper than it can go
        place = good.find(b':') + 1
        return good[:place] + (b'1' * 5000, b'[' * 100_000)[rng.integers(2)] + good[place:]
    return damaged(good, rng)


def altered(value: Any, rng: np.random.Generator, most: int = 3) -> Any:
    """A nested value of mappings, lists and plain values with one to some changes in it."""
    result = copy.deepcopy(value)
    for _ in range(int(rng.integers(1, most + 1))):
        result = _alter(result, rng)
    return result


def _alter(root: Any, rng: np.random.Generator) -> Any:
    """One change at a random place."""
    places: list[tuple[Any, Any]] = []
    _collect(root, places)
    if not places:
        return strange(rng)
    holder, key = places[rng.integers(len(places))]
    kind = rng.integers(7)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, dict):
        holder[TEXTS[rng.integers(len(TEXTS))]] = strange(rng)
    elif kind == 2 and isinstance(holder, list):
        holder.insert(key, strange(rng))
    elif kind == 3:
        holder[key] = [holder[key]]
    elif kind == 4 and isinstance(holder[key], (int, float)):
        holder[key] = number(rng)
    elif kind == 5:
        other, name = places[rng.integers(len(places))]
        holder[key] = copy.deepcopy(other[name])
    else:
        holder[key] = strange(rng)
    return root


def _collect(value: Any, places: list[tuple[Any, Any]]) -> None:
    """Every place in a nested value that can be changed."""
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    else:
        return
    for key, item in items:
        places.append((value, key))
        _collect(item, places)
