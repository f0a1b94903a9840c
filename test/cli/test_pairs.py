# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import cv2
import numpy as np
import pytest

from monother_ros.cli.main import main

yaml = pytest.importorskip('yaml', reason='PyYAML is not installed')


@pytest.fixture(name='vivid')
def _vivid(tmp_path):
    """Two pairs in the layout of ViViD; both cameras are one, and see a wall 5 m ahead."""
    folder = tmp_path / 'data' / 'outdoor_robust_day1'
    for part in ('Thermal', 'RGB', 'Depth_T', 'Depth_RGB'):
        (folder / part).mkdir(parents=True)
    (tmp_path / 'data' / 'train_outdoor.txt').write_text(f'{folder.name}\n')
    rng = np.random.default_rng(0)
    for name in ('000000', '000001'):
        thermal = rng.integers(2000, 3000, (24, 32)).astype(np.uint16)
        assert cv2.imwrite(str(folder / 'Thermal' / f'{name}.png'), thermal)
        assert cv2.imwrite(str(folder / 'RGB' / f'{name}.png'), np.zeros((24, 32, 3), np.uint8))
        for part in ('Depth_T', 'Depth_RGB'):
            np.save(folder / part / f'{name}.npy', np.full((24, 32), 5.0))
    for name in ('cam_T', 'cam_RGB'):
        np.savetxt(folder / f'{name}.txt', [[30, 0, 15], [0, 30, 11], [0, 0, 1]])
    np.savetxt(folder / 'Tr_T2RGB.txt', np.eye(4))
    return {'kind': 'vivid', 'root': str(tmp_path / 'data'), 'split': 'train', 'trim': False}


def test_page_and_agreement(vivid, tmp_path, capsys):
    settings = tmp_path / 'mine.yaml'
    page = tmp_path / 'page.png'
    for content in (vivid, [vivid], {'task': 'dual', 'data': {'training': vivid}}):
        settings.write_text(yaml.safe_dump(content))
        assert main(['pairs', str(settings), '-o', str(page)]) == 0
        text = capsys.readouterr().out
        assert '2 pairs of 1 drives' in text
        assert 'labels of both cameras differ by 0.00%' in text
        assert cv2.imread(str(page)).shape == (48, 128, 3)
        page.unlink()


def test_what_cannot_be_shown_is_said(tmp_path, capsys):
    settings = tmp_path / 'mine.yaml'
    for content, said in (
        ('just text', 'holds no settings of a data set'),
        ('{', 'cannot be read'),
        ('kind: kitti', "kind 'kitti' is not known"),
        ('data: {drives: {folder: x}}', 'holds no settings of a data set'),
        ('data: null', 'holds no settings of a data set'),
    ):
        settings.write_text(content)
        assert main(['pairs', str(settings)]) == 1
        assert said in capsys.readouterr().err
    assert main(['pairs', str(tmp_path / 'nowhere.yaml')]) == 1
    assert 'nowhere.yaml cannot be read' in capsys.readouterr().err
