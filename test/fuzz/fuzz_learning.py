# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Damaged files of training: checkpoints, folders of small networks, recipes, object arrays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_harness import Attempt, Entry
from fuzz_values import altered, damaged


def checkpoint(folder: Path) -> Attempt:
    """The authors' pickles, in both formats of torch, and safetensors."""
    import safetensors.torch
    import torch

    from monother_ros.networks.checkpoint import read_checkpoint

    state = {'thermal.a.weight': torch.arange(12.0).reshape(3, 4), 'rgb.b': torch.ones(5)}
    goods = {}
    for name, new in (('zip.pth', True), ('old.pth', False)):
        path = folder / name
        torch.save({'model': state, 'epoch': 5}, path, _use_new_zipfile_serialization=new)
        goods[name] = path.read_bytes()
    goods['own.safetensors'] = safetensors.torch.save(state, {'made': 'by hand'})

    def attempt(rng: np.random.Generator) -> None:
        name = list(goods)[rng.integers(len(goods))]
        path = folder / f'damaged-{name}'
        path.write_bytes(damaged(goods[name], rng))
        found = read_checkpoint(path)
        assert all(isinstance(value, torch.Tensor) for value in found.values())

    return attempt


def confidence(folder: Path) -> Attempt:
    """Folder of the confidence network."""
    from monother_ros.core.files import sha256_file
    from monother_ros.core.share import share_folders
    from monother_ros.networks.confidence_file import load_confidence

    shipped = next(
        path
        for share in share_folders()
        if (path := share / 'models' / 'lite-confidence' / 'confidence.json').is_file()
    )
    weights = shipped.with_name('confidence.safetensors').read_bytes()
    about = json.loads(shipped.read_text())
    target = folder / 'confidence.json'
    file = folder / 'confidence.safetensors'

    def attempt(rng: np.random.Generator) -> None:
        file.write_bytes(damaged(weights, rng) if rng.random() < 0.5 else weights)
        text: Any = {**about, 'sha256': sha256_file(file)}
        if rng.random() < 0.7:
            target.write_text(json.dumps(altered(text, rng)))
        else:
            target.write_bytes(damaged(json.dumps(text).encode(), rng))
        load_confidence(folder)

    return attempt


def recipe(folder: Path) -> Attempt:
    """A recipe file, and changes on the command line."""
    import yaml

    from monother_ros.learning.recipe import find_recipe, recipe_names
    from monother_ros.learning.tasks.recipes import load_recipe

    goods = [yaml.safe_load(find_recipe(name).read_text()) for name in recipe_names()]
    path = folder / 'recipe.yaml'
    changes = ('a', '=', 'run=3', 'data.frames=x', 'task=', 'training.steps=[', '.=1', 'a..b=1')

    def attempt(rng: np.random.Generator) -> None:
        good = goods[rng.integers(len(goods))]
        if rng.random() < 0.7:
            path.write_text(yaml.safe_dump(altered(good, rng)))
        else:
            path.write_bytes(damaged(yaml.safe_dump(good).encode(), rng))
        given = [changes[rng.integers(len(changes))]] if rng.random() < 0.2 else []
        load_recipe(str(path), given)

    return attempt


def object_array(folder: Path) -> Attempt:
    """A .npy file of an object array: calibrations of published data sets."""
    from monother_ros.learning.numpy_pickle import load_dict

    path = folder / 'calibration.npy'
    content = {'K': np.eye(3), 'T': [np.eye(4), 'text'], 'size': (640, 512)}
    np.save(path, content, allow_pickle=True)
    good = path.read_bytes()

    def attempt(rng: np.random.Generator) -> None:
        path.write_bytes(damaged(good, rng))
        assert isinstance(load_dict(path), dict)

    return attempt


ENTRIES = (
    Entry('checkpoint', checkpoint, 600, ('torch', 'safetensors')),
    Entry('confidence network', confidence, 250, ('torch', 'safetensors')),
    Entry('recipe', recipe, 600, ('torch', 'yaml')),
    Entry('object array', object_array, 500, ('torch',)),
)
