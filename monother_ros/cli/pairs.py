# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The verb ``monother pairs``: look at image pairs before training on them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from monother_ros.core.errors import DatasetError
from monother_ros.core.files import atomic_write
from monother_ros.learning.datasets import describe, open_dataset
from monother_ros.learning.pair_page import label_agreement, pair_page


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line of the verb."""
    add = parser.add_argument
    add(
        'data',
        metavar='DATA',
        help='a YAML file with the settings of a data set (docs/datasets.md), or a simulated bag',
    )
    add('-o', '--output', default='pairs.png', help='picture to write')
    add('--count', type=int, default=4, help='pairs to show, spread over the data set')


def _settings(data: str) -> Any:
    """Settings of a data set from a file, or of a bag."""
    if not data.endswith(('.yaml', '.yml')):
        return {'kind': 'sim', 'path': data}
    import yaml

    try:
        content = yaml.safe_load(Path(data).read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as err:
        msg = f'{data} cannot be read: {err}'
        raise DatasetError(msg) from err
    if isinstance(content, dict) and 'data' in content:
        part = content['data']  # a recipe
        content = part.get('training') if isinstance(part, dict) else None
    if not isinstance(content, (dict, list)):
        msg = f'{data} holds no settings of a data set: a mapping with kind, or a list of them'
        raise DatasetError(msg)
    return content


def run(arguments: argparse.Namespace) -> int:
    """
    Write a picture of some pairs and say what was left out.

    :raises MonotherError: the data cannot be opened.
    """
    dataset = open_dataset(_settings(arguments.data))
    print(describe(dataset))
    wanted = np.linspace(0, len(dataset) - 1, min(max(arguments.count, 1), len(dataset)))
    samples = [dataset[round(float(i))] for i in wanted]
    for sample in samples:
        agreement = label_agreement(sample)
        told = '' if agreement is None else f': labels of both cameras differ by {agreement:.2%}'
        print(f'  {sample.name} {sample.size[1]}x{sample.size[0]}{told}')
    done, coded = cv2.imencode('.png', pair_page(samples))
    if not done:
        msg = 'the picture could not be coded as PNG'
        raise DatasetError(msg)
    atomic_write(arguments.output, coded.tobytes())
    print(f'thermal, RGB, thermal label over RGB, thermal in red over RGB: {arguments.output}')
    return 0
