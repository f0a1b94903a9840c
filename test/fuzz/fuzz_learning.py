# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Damaged files of training: checkpoints, folders of small networks, recipes, object arrays."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_harness import Attempt, CountedError, Entry
from fuzz_values import altered, damaged, damaged_json


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
        target.write_bytes(damaged_json(text, rng))
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


def language_head(folder: Path) -> Attempt:
    """Folder of a language head."""
    from monother_ros.core.files import sha256_file
    from monother_ros.networks.language_file import load_language, write_language
    from monother_ros.networks.language_scale import LanguageHead

    facts: Any = {'text_encoder': 't', 'depth_model': 'lite', 'training': {}, 'metrics': {}}
    write_language(LanguageHead('three_layer'), folder / 'head', sigma=0.1, **facts)
    path = folder / 'head' / 'language.json'
    weights = next(p for p in (folder / 'head').iterdir() if p.suffix == '.safetensors')
    content, good = json.loads(path.read_text()), weights.read_bytes()

    def attempt(rng: np.random.Generator) -> None:
        weights.write_bytes(damaged(good, rng) if rng.random() < 0.5 else good)
        text = {**content, 'sha256': sha256_file(weights)}
        path.write_bytes(damaged_json(text, rng))
        assert 0 < load_language(folder / 'head').sigma < np.inf

    return attempt


def training_state(folder: Path) -> Attempt:
    """Checkpoint folder of a training run."""
    import torch

    from monother_ros.learning.training_state import read_about, read_tensors, write_state

    write_state(folder / 'state', {'step': 3, 'best': 0.5}, {'a': torch.ones(3, 4)})
    path = folder / 'state' / 'state.json'
    weights = next(p for p in (folder / 'state').iterdir() if p.suffix == '.safetensors')
    content, good = json.loads(path.read_text()), weights.read_bytes()

    def attempt(rng: np.random.Generator) -> None:
        if rng.random() < 0.5:
            path.write_bytes(damaged_json(content, rng))
            assert isinstance(read_about(folder / 'state'), dict)
        else:
            weights.write_bytes(damaged(good, rng))
            assert read_tensors(weights) is not None

    return attempt


def state_of_learning(folder: Path) -> Attempt:
    """What the adapt node keeps over a restart; damage is logged, and learning starts anew."""
    import logging

    import torch

    from monother_ros.learning.adaptation_state import VALUES, read_state, write_state

    logging.getLogger('monother_ros.learning.adaptation_state').setLevel(logging.CRITICAL)
    state = folder / 'state'
    write_state(state, {'a': torch.ones(3, 4)}, {'m': torch.zeros(3), 'n': 5}, {'steps': 7})
    goods = {path.name: path.read_bytes() for path in state.iterdir()}

    def attempt(rng: np.random.Generator) -> None:
        for name, good in goods.items():
            (state / name).write_bytes(good)
        name = sorted(goods)[rng.integers(len(goods))]
        if name == VALUES:
            (state / name).write_bytes(damaged_json(json.loads(goods[name]), rng))
        else:
            (state / name).write_bytes(damaged(goods[name], rng))
        found = read_state(state)
        if found is None:
            raise CountedError('taken for no state')
        assert isinstance(found.values, dict)

    return attempt


def anchors(folder: Path) -> Attempt:
    """File of anchors of a shipped model."""
    from monother_ros.learning.anchors import Anchors

    path = folder / 'anchors.npz'
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 24, 32), np.uint8)
    Anchors(images, np.full((3, 6, 8), 5, np.float16), 30.0).write(path)
    good = path.read_bytes()

    def attempt(rng: np.random.Generator) -> None:
        path.write_bytes(damaged(good, rng))
        found = Anchors.load(path)
        assert found.size[0] > 0 and len(found) > 0

    return attempt


def memory_of_pairs(folder: Path) -> Attempt:
    """Folder of the pairs that the adapt node remembers; damaged ones are dropped and counted."""
    import logging

    from online_pairs import make_pair

    from monother_ros.learning.replay import ReplayBuffer

    logging.getLogger('monother_ros.learning').setLevel(logging.CRITICAL)
    memory = ReplayBuffer(folder / 'good', 4_000_000)
    for view in range(3):
        assert memory.add(make_pair(view, size=(24, 16)))
    memory.close()
    goods = {p.name: p.read_bytes() for p in (folder / 'good').iterdir() if p.stat().st_size}

    def attempt(rng: np.random.Generator) -> None:
        target = folder / 'damaged'
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        hit = sorted(goods)[rng.integers(len(goods))]
        for name, good in goods.items():
            (target / name).write_bytes(damaged(good, rng) if name == hit else good)
        found = ReplayBuffer(target, 4_000_000)
        try:
            assert len(list(found)) == len(found.sample(9)) == len(found) <= 3
            if found.damaged:
                raise CountedError('dropped from the memory')
        finally:
            found.close()

    return attempt


ENTRIES = (
    Entry('checkpoint', checkpoint, 600, ('torch', 'safetensors')),
    Entry('confidence network', confidence, 250, ('torch', 'safetensors')),
    Entry('recipe', recipe, 600, ('torch', 'yaml')),
    Entry('object array', object_array, 500, ('torch',)),
    Entry('language head', language_head, 150, ('torch', 'safetensors')),
    Entry('training state', training_state, 300, ('torch', 'safetensors')),
    Entry('state of learning', state_of_learning, 300, ('torch', 'safetensors')),
    Entry('anchors', anchors, 250, ('torch',)),
    Entry('memory of pairs', memory_of_pairs, 200, ('torch', 'safetensors')),
)
