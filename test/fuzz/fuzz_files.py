# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Damaged files: calibration, bundles and their weights, pictures, parameters."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from bundles import make_bundle
from fuzz_harness import Attempt, CountedError, Entry
from fuzz_values import altered, damaged, damaged_json, number

from monother_ros.core.bundle import MODEL, load_bundle
from monother_ros.core.camera_file import read_camera_info
from monother_ros.core.files import sha256_file
from monother_ros.core.rig_file import read_rig_file
from monother_ros.core.tensor_file import read_tensors, write_tensors
from monother_ros.engines.base import EngineOptions
from monother_ros.engines.onnxruntime import OnnxRuntimeEngine
from monother_ros.ros import parameter_specs
from monother_ros.ros.adapt_parameters import AdaptNodeParameters
from monother_ros.ros.frames import load_thermal
from monother_ros.ros.language_parameters import LanguageNodeParameters
from monother_ros.ros.parameters import DepthNodeParameters

CAMERA_INFO = {
    'image_width': 640,
    'image_height': 512,
    'camera_name': 'thermal',
    'camera_matrix': {
        'rows': 3,
        'cols': 3,
        'data': [500.0, 0.0, 319.5, 0.0, 500.0, 255.5, 0.0, 0.0, 1.0],
    },
    'distortion_model': 'plumb_bob',
    'distortion_coefficients': {'rows': 1, 'cols': 5, 'data': [-0.3, 0.1, 0.0, 0.0, 0.0]},
}
POSE = {'translation': [0.15, -0.03, 0.0], 'rotation': [0.0, 0.0, 0.0, 1.0]}
OWN_RIG = {'thermal_info': CAMERA_INFO, 'rgb_info': '/rgb/camera_info', 'extrinsics': POSE}
KALIBR = {
    name: {
        'camera_model': 'pinhole',
        'intrinsics': [500.0, 500.0, 319.5, 255.5],
        'distortion_model': 'radtan',
        'distortion_coeffs': [-0.3, 0.1, 0.0, 0.0],
        'resolution': [640, 512],
        'rostopic': f'/{topic}/image_raw',
        'T_cam_imu': np.eye(4).tolist(),
        **({'T_cn_cnm1': np.eye(4).tolist()} if name != 'cam0' else {}),
    }
    for name, topic in (('cam0', 'thermal'), ('cam1', 'rgb'))
}

MODES = (dict, list, str)


def _yaml(value: Any, rng: np.random.Generator) -> bytes:
    """A YAML file: the value altered and written well, or written and its text damaged."""
    import yaml

    draw = rng.random()
    if draw < 0.7:
        return yaml.safe_dump(altered(value, rng), sort_keys=False).encode()
    if draw < 0.76:
        # deeper than a parser can go; a date that there is not; more digits than Python reads
        text = ('[' * 5000, '2001-99-99', '1' * 5000, '0x' + 'f' * 400)[rng.integers(4)]
        return yaml.safe_dump(value).replace('1', text, 1).encode()
    return damaged(yaml.safe_dump(value, sort_keys=False).encode(), rng)


def camera_info_file(folder: Path) -> Attempt:
    """YAML of camera_calibration."""
    path = folder / 'camera.yaml'

    def attempt(rng: np.random.Generator) -> None:
        path.write_bytes(_yaml(CAMERA_INFO, rng))
        camera = read_camera_info(path)
        assert camera.width > 0 and np.isfinite(camera.matrix).all()

    return attempt


def rig_file(folder: Path) -> Attempt:
    """Our own YAML of a rig, or Kalibr's."""
    path = folder / 'rig.yaml'

    def attempt(rng: np.random.Generator) -> None:
        path.write_bytes(_yaml((OWN_RIG, KALIBR)[rng.integers(2)], rng))
        rig = read_rig_file(path)
        pose = rig.extrinsics
        assert pose is None or (pose.shape == (4, 4) and np.isfinite(pose).all())

    return attempt


def manifest(folder: Path) -> Attempt:
    """model.json of a bundle."""
    make_bundle(folder / 'bundle', 16, 24)
    path = folder / 'bundle' / 'model.json'
    good = json.loads(path.read_text())

    def attempt(rng: np.random.Generator) -> None:
        path.write_bytes(damaged_json(good, rng))
        bundle = load_bundle(folder / 'bundle')
        assert bundle.input_size[0] > 0 and 0 < bundle.depth_range[0] < bundle.depth_range[1]

    return attempt


def bundle_files(folder: Path) -> Attempt:
    """Files of a bundle that are changed, cut off, missing, links, or folders."""
    make_bundle(folder / 'bundle', 16, 24, extra_files={'weights.safetensors': b'w' * 64})
    good = {name: (folder / 'bundle' / name).read_bytes() for name in (MODEL, 'model.json')}

    def attempt(rng: np.random.Generator) -> None:
        target = folder / 'damaged'
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(folder / 'bundle', target)
        name = (MODEL, 'weights.safetensors', 'model.json')[rng.integers(3)]
        file, kind = target / name, rng.integers(5)
        if kind == 0:
            file.unlink()
        elif kind == 1:
            file.unlink()
            file.symlink_to((Path('/dev/null'), folder / 'nowhere', file)[rng.integers(3)])
        elif kind == 2:
            file.unlink()
            file.mkdir()
        elif kind == 3:
            file.write_bytes(b'')
        else:
            file.write_bytes(damaged(good.get(name, b'w' * 64), rng))
        load_bundle(target)

    return attempt


def network(folder: Path) -> Attempt:
    """A damaged model.onnx whose hash is right, built and run by ONNX Runtime."""
    make_bundle(folder / 'bundle', 16, 24)
    path, about = folder / 'bundle' / MODEL, folder / 'bundle' / 'model.json'
    good, text = path.read_bytes(), json.loads(about.read_text())
    options = EngineOptions(threads=1, warmup=False)
    picture = np.full((1, 1, 16, 24), 0.5, np.float32)

    def attempt(rng: np.random.Generator) -> None:
        path.write_bytes(damaged(good, rng))
        text['files'][MODEL] = sha256_file(path)
        about.write_text(json.dumps(text))
        with OnnxRuntimeEngine(load_bundle(folder / 'bundle'), options) as engine:
            depth = engine.infer({'thermal': picture})['depth']
        assert depth.shape == (1, 1, 16, 24) and depth.dtype == np.float32

    return attempt


def tensors(folder: Path) -> Attempt:
    """safetensors beside a graph, as a robot without torch reads it."""
    path = folder / 'weights.safetensors'
    rng = np.random.default_rng(0)
    arrays = {'a.weight': rng.normal(size=(3, 4)).astype(np.float32), 'b': np.arange(5)}
    write_tensors(path, arrays)
    good = path.read_bytes()

    def attempt(rng: np.random.Generator) -> None:
        if rng.random() < 0.5:
            length = int.from_bytes(good[:8], 'little')
            head = json.dumps(altered(json.loads(good[8 : 8 + length]), rng)).encode()
            path.write_bytes(len(head).to_bytes(8, 'little') + head + good[8 + length :])
        else:
            path.write_bytes(damaged(good, rng))
        found = read_tensors(path)
        assert sum(v.nbytes for v in found.values()) <= path.stat().st_size

    return attempt


def thermal_file(folder: Path) -> Attempt:
    """A frame in a folder of pictures."""
    rng = np.random.default_rng(0)
    goods = [
        (ending, bytes(cv2.imencode(ending, rng.integers(0, 2**16, (12, 16), np.uint16))[1]))
        for ending in ('.png', '.tiff', '.pgm')
    ]

    def attempt(rng: np.random.Generator) -> None:
        ending, good = goods[rng.integers(len(goods))]
        path = folder / f'frame{ending}'
        path.write_bytes(damaged(good, rng))
        pixels = load_thermal(path)
        assert pixels.ndim == 2 and pixels.dtype in (np.uint8, np.uint16)

    return attempt


def parameters(_folder: Path) -> Attempt:
    """Values of parameters, of their types, that a user may set while a node runs."""
    kinds = (DepthNodeParameters, AdaptNodeParameters, LanguageNodeParameters)

    def value(default: Any, rng: np.random.Generator) -> Any:
        if isinstance(default, bool):
            return bool(rng.integers(2))
        if isinstance(default, int):
            return int(rng.choice([-1, 0, 1, 7, 2**31, 2**63 - 1, -(2**63)]))
        if isinstance(default, float):
            return float(number(rng))
        if isinstance(default, str):
            pool = ('', ' ', 'x' * 300, '../..', '\x00', 'auto', 'cpu', 'cuda:99', 'nearest')
            return pool[rng.integers(len(pool))]
        return [float(number(rng)) for _ in range(int(rng.choice([0, 1, 3, 16, 16, 17])))]

    def attempt(rng: np.random.Generator) -> None:
        kind = kinds[rng.integers(len(kinds))]
        before = kind()
        defaults = parameter_specs.defaults(kind)
        names = rng.choice(list(defaults), int(rng.integers(1, 4)), replace=False)
        after = before.changed({name: value(defaults[name], rng) for name in names})
        for name, spec in parameter_specs.specs(kind).items():
            now = getattr(after, name)
            if isinstance(now, float) and spec.low is not None and spec.high is not None:
                assert spec.low <= now <= spec.high
        for method in ('extrinsics', 'lidar_pose', 'scale'):
            if callable(getattr(after, method, None)):
                getattr(after, method)()

    return attempt


def revisions(folder: Path) -> Attempt:
    """A store of revisions with damage in it; reading it never fails, it says what is wrong."""
    from revision_data import brighter, tiny, write

    from monother_ros.learning.revision_reader import RevisionReader
    from monother_ros.learning.revisions import RevisionStore

    model = tiny(folder / 'model')
    store = folder / 'store'
    with RevisionStore(store) as opened:
        first = write(opened, model, brighter(0.9), model)
        opened.use(first.revision)
    files = sorted(
        p.relative_to(store) for p in store.rglob('*') if p.is_file() and p.stat().st_size
    )

    def attempt(rng: np.random.Generator) -> None:
        target = folder / 'damaged'
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(store, target)
        for _ in range(int(rng.integers(1, 4))):
            file = target / files[rng.integers(len(files))]
            if rng.random() < 0.2:
                file.unlink(missing_ok=True)
            elif file.suffix == '.json':
                content = json.loads((store / file.relative_to(target)).read_text())
                file.write_bytes(damaged_json(content, rng))
            else:
                file.write_bytes(damaged((store / file.relative_to(target)).read_bytes(), rng))
        reader = RevisionReader(target)
        listed = reader.revisions(verify=True)
        good = reader.good()
        reader.bytes()
        if good.reason or any(item.defect for item in listed):
            raise CountedError('told in words')

    return attempt


def _entry(name: str, make: Callable[[Path], Attempt], count: int, *needs: str) -> Entry:
    return Entry(name, make, count, needs)


ENTRIES = (
    _entry('camera_info file', camera_info_file, 800, 'yaml'),
    _entry('rig file', rig_file, 800, 'yaml'),
    _entry('bundle manifest', manifest, 1200, 'onnx'),
    _entry('bundle files', bundle_files, 300, 'onnx'),
    _entry('network', network, 400, 'onnx', 'onnxruntime'),
    _entry('tensor file', tensors, 800),
    _entry('thermal picture file', thermal_file, 500),
    _entry('parameters', parameters, 1200),
    _entry('store of revisions', revisions, 250, 'onnx', 'onnxruntime'),
)
