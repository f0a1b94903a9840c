# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recipes of places: each draws a layout at random and returns its mesh, path and objects."""

from __future__ import annotations

import importlib

import numpy as np

from monother_ros.core.errors import SimulationError
from monother_ros.sim.world import Parts

SCENES = ('street', 'corridor', 'woods', 'yard', 'farm')


def build_scene(name: str, rng: np.random.Generator, *, movers: bool = True) -> Parts:
    """
    Lay out a place.

    :param name: one of `SCENES`.
    :param rng: source of the layout.
    :param movers: whether people and cars move (else they stand still).
    :raises SimulationError: unknown name, or Embree is missing.
    """
    if name not in SCENES:
        msg = f'scene {name!r} is not known; use one of {list(SCENES)}'
        raise SimulationError(msg)
    recipe = importlib.import_module(f'monother_ros.sim.scenes.{name}')
    parts: Parts = recipe.build(rng, movers)
    return parts
