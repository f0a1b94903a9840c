# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tests of the report of learning, on a run whose revisions and errors are known."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

pytest.importorskip('matplotlib')
from browser import DESKTOP, PHONE, check, headless, look
from bundles import make_bundle
from recorded_run import (
    HEIGHT,
    WIDTH,
    Drive,
    T,
    _Bag,
    header,
    image,
    stamp_of,
    truth_of,
    write_input,
)
from scaled_revisions import scaled_store

from monother_ros.core.bundle import load_bundle
from monother_ros.core.frames import ThermalFrame
from monother_ros.core.pipeline import Pipeline
from monother_ros.engines.base import EngineOptions
from monother_ros.engines.select import load_engine
from monother_ros.evaluation.adaptation_figures import summary
from monother_ros.evaluation.adaptation_report import Sources, build_adaptation
from monother_ros.evaluation.adaptation_run import WIDE, abs_rel
from monother_ros.nodes.frame_revisions import FrameRevisions
from monother_ros.ros.messages import intrinsics_from_camera_info, thermal_array

FRAMES, SWAP, SCALE = 40, 20, 0.8


def diagnostics(k, parts):
    """One message of both nodes' kind."""
    statuses = []
    for name, values in parts.items():
        pairs = [T['diagnostic_msgs/msg/KeyValue'](a, str(b)) for a, b in values.items()]
        statuses.append(T['diagnostic_msgs/msg/DiagnosticStatus'](0, name, 'ok', '', pairs))
    return T['diagnostic_msgs/msg/DiagnosticArray'](header(stamp_of(k), ''), statuses)


def learner(k, learned):
    """What the adapt node says at frame k."""
    values = {'steps': 3 * k, 'teacher': 'tiny', 'part': 'all', 'pairs: taken': k}
    values |= {'pairs: standing still': 4, 'revision': 'x', 'revisions handed over': 0}
    if learned and k >= SWAP - 2:
        values |= {'pairs: guard: offer': 1, 'last decision': 'offer: better by 8 %'}
        values |= {'last decision: gain': 0.08, 'revisions handed over': 1}
    return {'adapt_node: learning': values}


def write_recording(path, given, bundle, revision):
    """What the depth node publishes that changes to a revision at frame SWAP."""
    from monother_ros.evaluation.recording import INPUT_ROLES, Recording

    runs = FrameRevisions()
    errors = []
    options = EngineOptions(threads=1)
    with Recording(given, INPUT_ROLES) as fed, _Bag(path) as bag:
        pipeline = Pipeline(load_engine(bundle, options=options), WIDE)
        groups = fed.groups(['thermal', 'thermal_info'])
        for k, (_, group) in enumerate(groups):
            if k == SWAP and revision is not None:
                pipeline.swap_engine(load_engine(revision, options=options))
            camera = intrinsics_from_camera_info(fed.decode(group['thermal_info']))
            picture = thermal_array(fed.decode(group['thermal']))
            result = pipeline.process(ThermalFrame(picture, stamp_of(k), '', camera))
            log = stamp_of(k) + 20_000_000
            if k == 7:
                continue  # a frame that is lost
            bag.add('/depth/image_raw', image(result.depth, '32FC1', stamp_of(k)), log)
            errors.append(abs_rel(result.depth, truth_of(k)))
            runs.published(result.revision, stamp_of(k), k / 10, near_swap=k == SWAP)
            parts = {'depth_node: depth': {'dropped: shutter': 0}}
            parts['depth_node: revision'] = {'swaps': int(k >= SWAP), **runs.values()}
            bag.add('/diagnostics', diagnostics(k, parts), log + 1000)
            bag.add('/diagnostics', diagnostics(k, learner(k, revision is not None)), log + 2000)
            bag.add('/loss', T['std_msgs/msg/Float32'](1.0 / (k + 1)), log + 3000)
            if k % 10 == 4:  # RGB images are stamped 7 ms later, every second frame
                taught = stamp_of(k) + 7_000_000
                depth = np.full((HEIGHT, WIDTH), 5.0, np.float32)
                mask = np.full((HEIGHT, WIDTH), 255, np.uint8)
                bag.add('/teacher/depth', image(depth, '32FC1', taught), log + 4000)
                bag.add('/teacher/confidence', image(depth / 10, '32FC1', taught), log + 4001)
                bag.add('/mask', image(mask, 'mono8', taught), log + 4002)
    return errors


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    """Model, store with one revision, bag that was played, bag that was not."""
    folder = tmp_path_factory.mktemp('learning')
    make_bundle(folder / 'tiny', HEIGHT, WIDTH)
    _, (name,) = scaled_store(folder / 'revisions', folder / 'tiny', [SCALE])
    write_input(folder / 'input', Drive(frames=FRAMES, shutter=()))
    write_input(folder / 'unseen', Drive(frames=6, shutter=(), conditions=False))
    return folder, load_bundle(folder / 'tiny'), load_bundle(folder / 'revisions' / name)


def report_of(world, out, recorded, **changes):
    folder, bundle, _ = world
    sources = Sources(
        recorded, folder / 'input', bundle, folder / 'revisions',
        unseen={'night': folder / 'unseen'}, about={'World': 'a <wall>'}, **changes,
    )  # fmt: skip
    return build_adaptation(sources, out, title='A drive', shown=2)


@pytest.fixture(scope='module')
def made(world, tmp_path_factory):
    out = tmp_path_factory.mktemp('report')
    errors = write_recording(out / 'recorded', world[0] / 'input', world[1], world[2])
    return out, report_of(world, out / 'page', out / 'recorded'), errors


def test_error_over_the_drive_is_that_of_both_models(made):
    _, report, errors = made
    live = report.figures['live']
    assert live['all']['frames'] == FRAMES - 1
    assert live['all']['after'] == pytest.approx(np.mean(errors), rel=1e-4)
    assert live['learned']['frames'] == FRAMES - SWAP
    assert live['learned']['after'] == pytest.approx(np.mean(errors[SWAP - 1 :]), rel=1e-4)
    # the model as it came is run again on exactly what the node had processed
    assert live['largest_difference_before_first_swap_m'] < 1e-5
    assert live['learned']['before'] != pytest.approx(live['learned']['after'], rel=0.02)
    reduction = 1 - live['learned']['after'] / live['learned']['before']
    assert live['learned']['reduction'] == pytest.approx(reduction, rel=1e-4)


def test_swaps_decisions_and_reasons(made, world):
    figures = made[1].figures
    assert figures['learned'] is True and figures['revision'] == world[2].revision
    assert figures['swaps'] == [{'time': SWAP / 10, 'revision': world[2].revision, 'number': 1}]
    (look,) = figures['learning']['looks']
    assert (look['action'], look['reason'], look['gain']) == ('offer', 'better by 8 %', 0.08)
    assert look['time'] == pytest.approx((SWAP - 2) / 10)
    assert figures['learning']['reasons'] == {'standing still': 4}
    base, learned = figures['learning']['revisions']
    assert (base['number'], learned['number'], learned['frames']) == (0, 1, FRAMES - SWAP)
    assert figures['notes'] == []


def test_frames_never_played_go_through_both_models(made):
    part = made[1].figures['unseen']['night']
    assert part['frames'] == 6
    assert part['before'] != pytest.approx(part['after'], rel=0.02)
    assert part['reduction'] == pytest.approx(1 - part['after'] / part['before'], rel=1e-4)
    assert part['better'] in (0.0, 1.0)


def test_the_depth_node_is_accounted_for(made):
    node = made[1].figures['depth_node']
    assert (node['frames']['in'], node['frames']['out'], node['frames']['lost']) == (40, 39, 1)
    assert node['gaps_ms']['max'] == pytest.approx(200.0)
    assert (node['swaps'], node['gap_around_swaps_ms']) == (1, pytest.approx(100.0))


def test_page_is_one_file_and_everything_is_beside_it(made):
    out, report, _ = made
    page = report.page.read_text()
    assert 'a &lt;wall&gt;' in page and 'width=device-width' in page
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert all(source.startswith('data:image/png;base64,') for source in sources)
    # 3 plots; 6 pictures of each of 2 frames; 3 of each of 2 lessons
    assert len(sources) == 3 + 12 + 6
    assert len(re.findall(r'alt="([^"]{20,})"', page)) == len(sources)
    assert json.loads((out / 'page' / 'report.json').read_text()) == report.figures
    assert len(list((out / 'page' / 'pictures').iterdir())) == len(sources)


def test_terminal_summary_tells_before_and_after(made):
    lines = summary(made[1].figures)
    assert re.match(r'depth +39 of 40 frames, 1 lost, 0 shutter', lines[0])
    assert any(re.match(r'unseen +AbsRel [\d.]+ -> [\d.]+ \(.* %\)  night, 6', s) for s in lines)
    assert any('standing still 4' in line for line in lines)


def test_a_drive_without_a_revision_says_so(world, tmp_path):
    write_recording(tmp_path / 'recorded', world[0] / 'input', world[1], None)
    report = report_of(world, tmp_path / 'page', tmp_path / 'recorded')
    figures = report.figures
    assert figures['learned'] is False and figures['swaps'] == []
    assert figures['notes'][0].startswith('Nothing was learned in this drive')
    assert 'before the guard had judged them' in figures['notes'][0]
    assert figures['live']['all']['reduction'] == pytest.approx(0.0, abs=1e-6)
    assert figures['unseen']['night']['after'] is None
    page = report.page.read_text()
    assert 'Nothing was learned' in page and 'Depth after' not in page


def test_a_bag_without_truth_has_no_error(world, tmp_path):
    given = write_input(tmp_path / 'input', Drive(frames=12, shutter=(), truth=False))
    write_recording(tmp_path / 'recorded', given, world[1], None)
    sources = Sources(tmp_path / 'recorded', given, world[1], tmp_path / 'no revisions')
    report = build_adaptation(sources, tmp_path / 'page', title='A bag')
    assert report.figures['live']['all'] == {
        'frames': 0, 'before': None, 'after': None, 'reduction': None
    }  # fmt: skip
    assert any('No ground truth' in note for note in report.figures['notes'])
    assert 'Error of depth' not in report.page.read_text()


def test_page_in_a_browser(made):
    with headless() as browser:
        for size in (PHONE, DESKTOP):
            found = look(browser, made[1].page, size)
            assert check(found, size) == []
            assert found.pictures > 5
