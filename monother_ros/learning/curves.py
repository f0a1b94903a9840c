# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training curves as a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np

from monother_ros.core.files import atomic_write

mpl.use('Agg')
from matplotlib import pyplot as plt  # the back end is chosen before


def write_curves(
    path: str | Path,
    training: Mapping[str, Sequence[float]],
    validation: Mapping[str, Sequence[float]],
) -> Path:
    """
    Draw losses and validation metrics over the steps into a PNG.

    :param path: target file.
    :param training: 'step' and one series per loss; 'rate' and 'norm' are not drawn.
    :param validation: 'step' and any of abs_rel, rgb_abs_rel, d1, ause_ratio, confidence.
    :returns: the path.
    """
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.8), layout='constrained')
    for name, values in training.items():
        if name not in ('step', 'rate', 'norm'):
            axes[0].plot(training['step'], _smooth(values), label=name, linewidth=1)
    axes[0].set(title='training loss', yscale='log')
    for name, label in (('abs_rel', 'AbsRel'), ('rgb_abs_rel', 'AbsRel, RGB branch')):
        if validation.get(name):
            axes[1].plot(validation['step'], validation[name], 'o-', label=label, ms=3)
    axes[1].set(title='validation AbsRel', ylim=(0, None))
    for name, label in (
        ('d1', 'δ1'),
        ('confidence', 'mean confidence'),
        ('ause_ratio', 'AUSE / random'),
    ):
        if validation.get(name):
            axes[2].plot(validation['step'], validation[name], 'o-', label=label, ms=3)
    axes[2].set(title='validation', ylim=(0, 1))
    for axis in axes:
        axis.set_xlabel('step')
        axis.grid(alpha=0.3)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=110)
    plt.close(figure)
    return atomic_write(path, buffer.getvalue())


def _smooth(values: Sequence[float], span: int = 9) -> Sequence[float]:
    """Running mean over up to `span` values before."""
    if not values:
        return values
    total = np.cumsum(np.concatenate([[0.0], np.asarray(values, np.float64)]))
    end = np.arange(1, len(values) + 1)
    start = np.maximum(end - span, 0)
    return ((total[end] - total[start]) / (end - start)).tolist()
