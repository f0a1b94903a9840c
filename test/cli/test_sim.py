# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""monother sim as a person calls it."""

from __future__ import annotations

import pytest

pytest.importorskip('embreex', reason='the simulator is not installed')

from monother_ros.cli.main import main
from monother_ros.ros.bags import BagReader

TINY = ['--size', '64x48', '--rgb-size', '64x48', '--scene', 'corridor', '--workers', '1']


def test_one_drive_through_three_conditions(tmp_path, capsys):
    out = tmp_path / 'deep' / 'out'
    words = ['sim', str(out), *TINY, '--seconds', '0.3', '--drive', 'day,night/clear,day/fog']
    assert main(words) == 0
    assert 'frames/s' in capsys.readouterr().out
    with BagReader(out) as bag:
        texts = [m.data for _, m, _ in bag.read(['/ground_truth/conditions'])]
        sizes = {(m.width, m.height) for _, m, _ in bag.read(['/thermal/image_raw'])}
    assert texts == ['day/clear', 'night/clear', 'day/fog']
    assert sizes == {(64, 48)}
    assert main(words) == 1
    assert 'already holds a bag' in capsys.readouterr().err
    assert main([*words, '--overwrite', '--rgb-transport', 'compressed']) == 0
    with BagReader(out) as bag:
        assert '/rgb/image_raw/compressed' in [t.name for t in bag.topics]


@pytest.mark.parametrize(
    ('words', 'code'),
    [
        (['--size', '64'], 2),
        (['--drive', 'noon/clear'], 2),
        (['--drive', 'day/snow'], 2),
        (['--scene', 'moon'], 2),
        (['--seconds', '0'], 1),
        (['--rate', '0'], 1),
        (['--seed', '-1'], 1),
        (['--workers', '-1'], 1),
    ],
)
def test_wrong_words_are_refused(tmp_path, capsys, words, code):
    out = tmp_path / 'out'
    if code == 2:
        with pytest.raises(SystemExit) as error:
            main(['sim', str(out), *words])
        assert error.value.code == 2
    else:
        assert main(['sim', str(out), *words]) == 1
    assert capsys.readouterr().err
    assert not out.exists()
