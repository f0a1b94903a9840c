# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tests of the report of a recorded run, on bags whose errors are known."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from recorded_run import Drive, diagnostics, stamp_of, truth_of, write_pair

from monother_ros.core.errors import BagError, MessageError
from monother_ros.evaluation import figures
from monother_ros.evaluation.depth_images import fit, metres
from monother_ros.evaluation.moments import Transforms, best, choose, load, rotation
from monother_ros.evaluation.recording import INPUT_ROLES, OUTPUT_ROLES, Recording
from monother_ros.evaluation.report import build, plain
from monother_ros.evaluation.results import figures_of, percentiles
from monother_ros.evaluation.status import read_status
from monother_ros.evaluation.summary import measure


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """The whole report of the ordinary drive."""
    folder = tmp_path_factory.mktemp('run')
    recorded, given = write_pair(folder)
    report = build(recorded, given, folder / 'report', title='A <short> drive', moments=4)
    return folder / 'report', report


def numbers_of(folder, **changes):
    """Figures without pictures."""
    recorded, given = write_pair(folder, Drive(**changes))
    with Recording(recorded, OUTPUT_ROLES) as out, Recording(given, INPUT_ROLES) as fed:
        return figures_of(measure(out, fed), out, fed)


def test_accuracy_is_what_was_put_in(made):
    numbers = made[1].figures
    day, night = numbers['conditions']
    assert (day['condition'], night['condition']) == ('street, day, clear', 'street, night, fog')
    assert day['metrics']['abs_rel'] == pytest.approx(0.10, abs=1e-4)
    assert night['metrics']['abs_rel'] == pytest.approx(0.20, abs=1e-4)
    assert (day['metrics']['d1'], night['metrics']['d1']) == pytest.approx((1.0, 0.5))
    truth, wrong = truth_of(30), np.where(np.arange(64) < 32, 0.1, 0.3)
    square = (truth * wrong)[np.isfinite(truth)] ** 2
    assert night['metrics']['rmse'] == pytest.approx(np.sqrt(square.mean()), rel=0.05)
    assert (day['compared'], night['compared']) == (15, 20)
    expected = (15 * 0.1 + 20 * 0.2) / 35
    assert numbers['overall']['metrics']['abs_rel'] == pytest.approx(expected, abs=1e-4)


def test_a_perfect_confidence_has_no_sparsification_error(made):
    for part in made[1].figures['conditions']:
        assert part['ause'] == pytest.approx(0, abs=1e-4)
        assert part['ause_random'] > 0.03
    overall = made[1].figures['overall']
    assert 0 < overall['ause'] < 0.3 * overall['ause_random']


def test_every_input_frame_is_accounted_for(made):
    frames = made[1].figures['frames']
    assert frames == {
        'in': 40,
        'out': 35,
        'matched': 35,
        'repeated': 0,
        'before_first': 2,
        'after_last': 0,
        'shutter': 2,
        'lost': 1,
        'lost_share': pytest.approx(1 / 36, abs=1e-6),
    }
    (event,) = made[1].figures['shutter']
    assert (event['start'], event['end'], event['frames']) == pytest.approx((1.2, 1.3, 2))
    assert event['kinds'] == ['frozen']


def test_rates_and_delays(made):
    numbers = made[1].figures
    assert numbers['rate']['in_hz'] == pytest.approx(10.0)
    assert numbers['rate']['out_hz'] == pytest.approx(34 / 3.7, rel=0.01)
    recorder = numbers['latency_ms']['recorder']
    assert recorder['kind'] == 'stamp'
    assert (recorder['p50'], recorder['max']) == pytest.approx((25.0, 30.0))
    assert numbers['latency_ms']['node'] == {
        'engine': {'p50': 6.1, 'p95': 7.2, 'p99': 8.3},
        'receive to publish': {'p50': 13.4, 'p95': 14.0, 'p99': 19.0},
    }
    assert numbers['drops'] == {'replaced by a newer image': 3}
    assert numbers['series']['latency_ms']['receive to publish p50'][-1][1] == 13.4
    node = numbers['node']
    assert (node['engine'], node['bundle'], node['revision']) == ('onnxruntime', 'lite', 'r1')
    assert {rate for _, rate in numbers['series']['rate_in']} == {10.0}


def test_page_is_one_file_that_works_offline(made):
    folder, report = made
    page = report.page.read_text()
    assert report.page == folder / 'index.html'
    assert '<h1>A &lt;short&gt; drive</h1>' in page
    assert 'width=device-width' in page
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert sources
    assert all(source.startswith('data:image/png;base64,') for source in sources)
    assert 'http' not in re.sub(r'base64,[^"]*', '', page)
    alts = re.findall(r'<img [^>]*alt="([^"]*)"', page)
    assert len(alts) == page.count('<img ')
    assert all(len(alt) > 20 for alt in alts)


def test_files_beside_the_page(made):
    folder, report = made
    stored = json.loads((folder / 'report.json').read_text())
    assert stored == report.figures
    assert len(stored['moments']) == 4
    for moment in stored['moments']:
        kinds = [name.rsplit('_', 1)[-1] for name in moment['pictures']]
        assert kinds == [
            f'{kind}.png'
            for kind in (
                *('thermal', 'rgb', 'truth', 'depth', 'confidence', 'error', 'side', 'above'),
            )
        ]
        assert all((folder / name).stat().st_size > 100 for name in moment['pictures'])
    for name in ('rate', 'latency', 'accuracy', 'sparsification'):
        with Image.open(folder / 'pictures' / f'{name}.png') as picture:
            assert picture.width > 600
    with Image.open(folder / 'hero.png') as hero:
        assert hero.width == 1600
        assert hero.height > 600
    assert (folder / 'hero.png').stat().st_size < 600_000
    assert [m['condition'] for m in stored['hero']['moments']] == [
        'street, day, clear',
        'street, night, fog',
    ]


def test_no_truth_means_plausibility_only(tmp_path):
    numbers = numbers_of(tmp_path, frames=16, truth=False, conditions=False)
    assert 'No ground truth in this bag: only plausibility is checked.' in numbers['notes']
    overall = numbers['overall']
    assert overall['metrics'] == {}
    assert overall['ause'] is None
    assert overall['finite'] == pytest.approx(42 / 48)
    assert overall['in_range'] == 1.0
    assert 0 <= overall['change'] < 0.01
    assert [c['condition'] for c in numbers['conditions']] == ['whole drive']


def test_what_was_not_recorded_is_named_and_left_out(tmp_path):
    drive = Drive(frames=8, outputs=('depth',), inputs=('thermal', 'thermal_info'), truth=False)
    recorded, given = write_pair(tmp_path, drive)
    report = build(recorded, given, tmp_path / 'report', moments=1)
    text = ' '.join(report.figures['notes'])
    for topic in ('/confidence', '/points', '/diagnostics'):
        assert f'Nothing was recorded on {topic}' in text
    assert report.figures['node']['engine'] is None
    kinds = [name.rsplit('_', 1)[-1] for name in report.figures['moments'][0]['pictures']]
    # the cloud is computed from depth and the calibration
    assert kinds == ['thermal.png', 'depth.png', 'side.png', 'above.png']
    assert 'Not recorded' in report.page.read_text()


def test_empty_recording_and_bag_without_thermal_are_clear_errors(tmp_path):
    recorded, given = write_pair(tmp_path, Drive(frames=12, outputs=('diagnostics',)))
    with pytest.raises(BagError, match=r'no depth image.*it holds /diagnostics.*Was the depth'):
        build(recorded, given, tmp_path / 'report')
    assert not (tmp_path / 'report').exists()
    other = tmp_path / 'other'
    other.mkdir()
    recorded, given = write_pair(other, Drive(frames=12, inputs=('rgb',)))
    with pytest.raises(BagError, match=r'no thermal image.*--remap'):
        build(recorded, given, tmp_path / 'report')


def test_topic_of_a_wrong_type_is_a_clear_error(tmp_path):
    recorded, _ = write_pair(tmp_path, Drive(frames=4))
    with pytest.raises(BagError, match=r'/points of .* is .*PointCloud2, but depth must be'):
        Recording(recorded, OUTPUT_ROLES, {'depth': '/points'})


def test_depth_images_that_are_no_depth_are_a_clear_error(tmp_path):
    _, given = write_pair(tmp_path, Drive(frames=4))
    with (
        Recording(given, OUTPUT_ROLES, {'depth': '/rgb/image_raw'}) as out,
        Recording(given, INPUT_ROLES) as fed,
        pytest.raises(BagError, match=r'no depth image .* could be read; is it 32FC1'),
    ):
        measure(out, fed)


def test_new_stamps_on_an_even_input_are_not_compared(tmp_path):
    numbers = numbers_of(tmp_path, frames=20, restamp=86_400 * 10**9)
    assert numbers['stamps']['equal'] == 0
    assert numbers['overall']['compared'] == 0
    assert any('cannot be told' in note for note in numbers['notes'])


def test_new_stamps_on_an_uneven_input_are_matched(tmp_path):
    numbers = numbers_of(tmp_path, frames=20, restamp=86_400 * 10**9, jitter=5_000_000)
    assert numbers['stamps'] == {'equal': 0, 'unknown': 0, 'offset_s': 86_400}
    assert any('stamped the frames anew, +86400.000 s' in note for note in numbers['notes'])
    assert numbers['conditions'][0]['metrics']['abs_rel'] == pytest.approx(0.1, abs=1e-4)


def test_looped_bag_compares_every_pass(tmp_path):
    numbers = numbers_of(tmp_path, frames=12, passes=2, conditions=False)
    frames = numbers['frames']
    assert (frames['out'], frames['matched'], frames['repeated']) == (18, 9, 9)
    assert numbers['overall']['compared'] == 18
    assert numbers['overall']['metrics']['abs_rel'] == pytest.approx(0.1, abs=1e-4)
    assert any('looped' in note for note in numbers['notes'])


def test_stamps_of_another_clock_show_only_the_growth_of_the_delay(tmp_path):
    numbers = numbers_of(tmp_path, frames=12, delay=50_000 * 10**9)
    recorder = numbers['latency_ms']['recorder']
    assert recorder['kind'] == 'relative'
    assert recorder['max'] == pytest.approx(10.0)
    assert any('growth' in note for note in numbers['notes'])


def test_moments_are_spread_and_clouds_stand_on_the_ground(tmp_path):
    recorded, given = write_pair(tmp_path, Drive(frames=30))
    with Recording(recorded, OUTPUT_ROLES) as out, Recording(given, INPUT_ROLES) as fed:
        run = measure(out, fed)
        chosen = choose(run, 6)
        assert [f.segment for f in chosen] == [0, 0, 0, 1, 1, 1]
        assert chosen[-1].time - chosen[0].time > 2.0
        assert [f.segment for f in best(run)] == [0, 1]
        assert len(choose(run, 1)) == 1
        moment = load(chosen[0], run, out, fed, Transforms(fed))
    assert moment.upright
    assert moment.reference_name == 'truth'
    ground = moment.reference[moment.reference[:, 0] < 8]
    assert np.abs(ground[:, 2]).max() < 0.01
    assert moment.points[:, 0].min() > 0
    assert moment.colour.min() == pytest.approx(0.3)
    assert np.nanmax(moment.error) == pytest.approx(0.15, abs=1e-4)
    assert moment.rgb.shape == (48, 64, 3)


def test_lidar_stands_in_where_there_is_no_truth(tmp_path):
    recorded, given = write_pair(tmp_path, Drive(frames=8, truth=False))
    with Recording(recorded, OUTPUT_ROLES) as out, Recording(given, INPUT_ROLES) as fed:
        run = measure(out, fed)
        moment = load(choose(run)[0], run, out, fed, Transforms(fed))
    assert moment.reference_name == 'LiDAR'
    assert moment.reference.shape == (200, 3)
    assert moment.error is None


def test_status_keeps_the_last_values_and_counts_warnings():
    values = {'engine p95 [ms]': '7.25', 'dropped: shutter': '4'}
    messages = [
        (5, diagnostics(stamp_of(0), {**values, 'dropped: shutter': '1'}, 1, '4.0 Hz of 10')),
        (6, diagnostics(stamp_of(1), values, 1, '5.5 Hz of 10')),
    ]
    status = read_status(messages)
    assert status.get('engine') == 'onnxruntime'
    assert status.latency == {'engine': {'p95': 7.25}}
    assert status.drops == {'shutter': 4}
    assert status.messages == {'warning: depth: … Hz of …': 2}
    assert [numbers['dropped: shutter'] for _, numbers in status.series] == [1.0, 4.0]


def test_depth_in_millimetres_and_of_another_size():
    image = np.array([[0, 1500], [2500, 65535]], np.uint16)
    np.testing.assert_allclose(metres(image), [[np.nan, 1.5], [2.5, 65.535]])
    with pytest.raises(MessageError, match='is no depth'):
        metres(np.zeros((2, 2, 3), np.uint8))
    truth = np.array([[1.0, 9.0], [np.inf, 3.0]], np.float32)
    assert set(np.unique(fit(truth, (4, 6)))) == {1.0, 3.0, 9.0, np.inf}


def test_numbers_for_json_and_percentiles():
    assert plain({'a': np.float32(np.nan), 'b': [np.int64(3), True, None, 'x']}) == {
        'a': None,
        'b': [3, True, None, 'x'],
    }
    assert percentiles([]) == {'p50': None, 'p95': None, 'p99': None, 'max': None}
    assert percentiles([1, 2, 3, float('nan')])['p50'] == 2


def test_rotation_of_a_quaternion():
    half = np.sqrt(0.5)
    np.testing.assert_allclose(rotation(0, 0, half, half) @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(rotation(0, 0, 0, 0), np.eye(3))


def test_pictures_survive_images_without_content():
    flat = figures.thermal_picture(np.full((20, 30), 4000, np.uint16))
    assert flat.shape == (20, 30, 3)
    nothing = np.full((20, 30), np.nan, np.float32)
    norm = figures.depth_norm(nothing)
    assert (figures.map_colours(nothing, 'depth', norm) == figures.UNKNOWN).all()
    data = figures.cloud_tile(np.zeros((0, 3), np.float32), 'side')
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.size == (760, 380)


def test_near_is_red_and_far_is_blue():
    depth = np.geomspace(1, 60, 60, dtype=np.float32).reshape(6, 10)
    colours = figures.map_colours(depth, 'depth', figures.depth_norm(depth)).astype(int)
    near, far = colours[0, 2], colours[4, 5]
    assert near[0] > near[2] + 50
    assert far[2] > far[0] + 50
