# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Sentences about what is in a picture, in the words that RSA was trained with.

"An image with two people, a car, and a road.": objects in the order in which they are first named,
counts as words, always "a", a comma before "and" (RSA, Zeng et al. 2024, its structured captions).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from monother_ros.sim.materials import MATERIAL_INDEX, SKY

_ONES = (
    'zero',
    'one',
    'two',
    'three',
    'four',
    'five',
    'six',
    'seven',
    'eight',
    'nine',
    'ten',
    'eleven',
    'twelve',
    'thirteen',
    'fourteen',
    'fifteen',
    'sixteen',
    'seventeen',
    'eighteen',
    'nineteen',
)
_TENS = (
    'twenty',
    'thirty',
    'forty',
    'fifty',
    'sixty',
    'seventy',
    'eighty',
    'ninety',
)

_IRREGULAR = {
    'person': 'people',
    'man': 'men',
    'woman': 'women',
    'child': 'children',
    'mouse': 'mice',
    'goose': 'geese',
    'foot': 'feet',
    'tooth': 'teeth',
    'ox': 'oxen',
    'knife': 'knives',
    'wife': 'wives',
    'life': 'lives',
    'leaf': 'leaves',
    'shelf': 'shelves',
    'half': 'halves',
    'wolf': 'wolves',
    'loaf': 'loaves',
    'thief': 'thieves',
    'potato': 'potatoes',
    'tomato': 'tomatoes',
    'hero': 'heroes',
    'echo': 'echoes',
    'bus': 'buses',
    **dict.fromkeys(('sheep', 'deer', 'fish', 'aircraft', 'series', 'species', 'cattle')),
}
"""Plurals that follow no rule; None: the same word."""

CLASSES: dict[str, str] = {
    **dict.fromkeys(('asphalt', 'paint_line'), 'road'),
    **dict.fromkeys(('paving', 'kerb'), 'pavement'),
    **dict.fromkeys(('brick', 'plaster', 'roof'), 'building'),
    **dict.fromkeys(('car_paint', 'car_hood', 'car_glass', 'rim', 'exhaust'), 'car'),
    **dict.fromkeys(('skin', 'hair', 'cloth', 'trousers'), 'person'),
    **dict.fromkeys(('foliage', 'bark'), 'tree'),
    **dict.fromkeys(('pipe_hot', 'pipe_cold'), 'pipe'),
    **dict.fromkeys(('soil', 'path'), 'dirt path'),
    'grass': 'grass',
    'rock': 'rock',
    'wall_indoor': 'wall',
    'concrete': 'concrete',
    'ceiling': 'ceiling',
    'floor': 'floor',
    'door': 'door',
    'lamp': 'lamp',
    'sign': 'sign',
    'machine': 'machine',
    'cardboard': 'box',
    'cabinet': 'cabinet',
    'radiator': 'radiator',
    'hill': 'hill',
    'crop': 'field',
    'straw': 'hay bale',
    'hide': 'cow',
}
"""Simulated material → what a person would call what is made of it; others go without a name."""

COUNTED = frozenset(
    {'car', 'person', 'tree', 'rock', 'machine', 'box', 'cabinet', 'hay bale', 'cow'}
)
"""Classes of which each object counts; of the others (road, wall, sky) there is one."""


def number_word(number: int) -> str:
    """
    Number in words, 'twenty-one', 'one hundred and one'.

    :param number: 0 to 999; larger ones are given in digits.
    """
    if not 0 <= number < 1000:
        return str(number)
    if number < 20:
        return _ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens - 2] + (f'-{_ONES[ones]}' if ones else '')
    hundreds, rest = divmod(number, 100)
    return f'{_ONES[hundreds]} hundred' + (f' and {number_word(rest)}' if rest else '')


def plural(noun: str) -> str:
    """
    Plural of an English noun; of several words the last one changes.

    :param noun: in the singular.
    """
    head, space, last = noun.rpartition(' ')
    if last in _IRREGULAR:
        return f'{head}{space}{_IRREGULAR[last] or last}'
    if last.endswith(('s', 'x', 'z', 'ch', 'sh')):
        return f'{noun}es'
    if last.endswith('y') and last[-2:-1] not in ('a', 'e', 'i', 'o', 'u', ''):
        return f'{noun[:-1]}ies'
    if last.endswith('man') and last != 'human':
        return f'{noun[:-3]}men'
    return f'{noun}s'


def sentence(objects: Iterable[str]) -> str:
    """
    Sentence that counts objects.

    :param objects: class of each object, one entry per object, in any order.
    :returns: "An image." where there is none.
    """
    counts = Counter(objects)
    items = [
        f'a {name}' if count == 1 else f'{number_word(count)} {plural(name)}'
        for name, count in counts.items()
    ]
    if not items:
        return 'An image.'
    if len(items) == 1:
        return f'An image with {items[0]}.'
    return f'An image with {", ".join(items[:-1])}, and {items[-1]}.'


def objects_in_view(
    material: NDArray[np.uint8], instance: NDArray[np.uint16], least: float = 0.0015
) -> list[str]:
    """
    What a simulated picture shows, as a detector would list it.

    :param material: (H, W) index of the material, as of monother_ros.sim.raycast.Hits.
    :param instance: (H, W) index of the object.
    :param least: part of the pixels that an object must fill.
    :returns: class of each object, the largest first.
    """
    floor = max(1, int(least * material.size))
    names = {MATERIAL_INDEX[key]: name for key, name in CLASSES.items()} | {SKY: 'sky'}
    code = material.astype(np.int64) * 65536 + instance
    values, pixels = np.unique(code, return_counts=True)
    area: Counter[tuple[str, int]] = Counter()
    for value, count in zip(values.tolist(), pixels.tolist(), strict=True):
        name = names.get(value >> 16)
        if name is not None:
            area[name, value & 65535 if name in COUNTED else 0] += count
    return [name for (name, _), count in area.most_common() if count >= floor]


def sentences_of(
    objects: Sequence[str], count: int, rng: np.random.Generator, missed: float = 0.1
) -> list[str]:
    """
    Several sentences about one picture: other orders, and objects that were missed.

    :param objects: class of each object.
    :param count: number of sentences; the first names all objects.
    :param rng: source of order and misses.
    :param missed: part of the objects that the others leave out.
    """
    found = []
    for k in range(count):
        kept = [o for o in objects if not k or rng.random() >= missed]
        found.append(sentence([kept[i] for i in rng.permutation(len(kept))]))
    return found
