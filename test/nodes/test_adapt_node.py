# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The adapt node over real DDS: a tiny student learns from a tiny teacher."""

from __future__ import annotations

import json
import resource
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('torch')
from adapt_rig import HEIGHT, RGB_FRAME, TYPES, WIDTH, view
from depth_rig import SECOND, depth_of, image_message, stamps
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image

from monother_ros.core.bundle import load_bundle
from monother_ros.learning.revisions import RevisionStore

TEACHER_NEAR, TEACHER_FAR = 2.0, 32.0


def mean_of_last(values, count):
    return float(np.mean([message.data for message in values[-count:]]))


def test_learning_lowers_the_loss_and_hands_over_revisions(make_adapt_rig, tmp_path):
    rig = make_adapt_rig()
    rig.listen(*TYPES).active()
    revisions = rig.received['revision']
    rig.until(lambda: revisions, what='latched name of the base')
    first = revisions[0].data
    loss = rig.received['loss']
    rig.until(lambda: len(loss) >= 5, tick=rig.shoot, what='first steps')
    begin = float(np.mean([message.data for message in loss[:5]]))
    rig.until(lambda: len(revisions) >= 2, 90.0, rig.shoot, what='a revision')
    rig.until(lambda: mean_of_last(loss, 8) < 0.8 * begin, 90.0, rig.shoot, what='a falling loss')
    # the revision is in the store, whole, in use, and a child of the base
    store = RevisionStore(tmp_path / 'revisions')
    new = load_bundle(store.path(revisions[1].data))
    assert new.parent == first
    assert revisions[-1].data in [info.name for info in store.revisions()]
    rig.until(lambda: rig.value('learning', 'revision') == revisions[-1].data, tick=rig.shoot)
    assert rig.number('revisions handed over') >= 1
    assert 0 < rig.number('mask share') <= 1
    assert rig.number('held-out pairs') >= 8 and rig.number('replay pairs') >= 4
    assert rig.value('learning', 'teacher') == 'teacher 1'
    assert 'offer' in rig.value('learning', 'last decision') or rig.number('pairs: guard: offer')

    # pictures: those of the RGB camera at the student's size, under its stamps and frame
    depth = rig.received['teacher/depth'][-1]
    assert depth.header.frame_id == RGB_FRAME and (depth.width, depth.height) == (WIDTH, HEIGHT)
    metres = depth_of(depth)
    known = metres[np.isfinite(metres)]
    # the teacher of the test says depth by brightness
    assert known.size > 0.5 * metres.size
    assert TEACHER_NEAR - 0.1 <= known.min() < known.max() <= TEACHER_FAR
    trust = depth_of(rig.received['teacher/confidence'][-1])
    assert trust.shape == metres.shape and 0 <= trust.min() <= trust.max() <= 1
    mask = rig.received['mask'][-1]
    values = set(np.frombuffer(mask.data, np.uint8).tolist())
    assert mask.encoding == 'mono8' and values <= {0, 255} and 255 in values
    for topic in ('teacher/depth', 'teacher/confidence', 'teacher/camera_info', 'mask'):
        seen = stamps(rig.received[topic])
        assert len(seen) == len(set(seen)) and all((s - 100 * SECOND) > 0 for s in seen), topic
        assert seen[-1] in {100 * SECOND + (i + 1) * (SECOND // 30) for i in range(rig.index)}
    info = rig.received['teacher/camera_info'][-1]
    assert (info.width, info.height) == (WIDTH, HEIGHT)
    assert info.k[0] == pytest.approx(0.9 * WIDTH) and not any(info.d)


def test_services_answer_with_what_they_did(make_adapt_rig, tmp_path):
    rig = make_adapt_rig(memory=str(tmp_path / 'memory')).active()
    off = rig.call('enable', on=False)
    assert off.success and 'off' in off.message
    assert rig.node.get_parameter('enabled').value is False
    rig.until(lambda: rig.number('pairs: disabled') > 0, tick=rig.shoot, what='disabled')
    assert rig.message() == 'paused: learning is switched off' and rig.level() == 0
    assert rig.number('steps') == 0
    assert rig.call('enable', on=True).success
    rig.until(lambda: rig.number('steps') >= 5, tick=rig.shoot, what='steps')
    saved = rig.call('save')
    assert saved.success and 'saved' in saved.message
    state = json.loads((tmp_path / 'memory' / 'state' / 'state.json').read_text())
    assert state['steps'] >= 5
    back = rig.call('rollback')
    # there may be nothing before the base yet; either way it is said
    assert back.message and (back.success or 'before' in back.message or 'back' in back.message)
    reset = rig.call('reset')
    assert reset.success and 'as it came' in reset.message
    rig.until(lambda: rig.number('steps') == 0 and rig.number('replay pairs') == 0)
    assert 'as it came' in rig.value('learning', 'last service')


def test_a_service_of_an_unconfigured_node_says_so(make_adapt_rig):
    rig = make_adapt_rig(autostart=False)
    answer = rig.call('save')
    assert not answer.success and 'configure it first' in answer.message
    assert rig.call('enable', on=False).success
    assert rig.node.get_parameter('enabled').value is False


def test_without_calibration_it_says_so_and_waits_for_static_transforms(make_adapt_rig):
    from geometry_msgs.msg import TransformStamped

    rig = make_adapt_rig(extrinsics=None).active()
    rig.until(lambda: rig.number('pairs: no calibration') > 3, tick=rig.shoot)
    assert rig.level() == 2 and 'no calibration' in rig.message()
    assert rig.level('calibration') == 2 and 'tf_static' in rig.message('calibration')
    assert rig.number('replay pairs') == 0 and rig.number('steps') == 0
    link = TransformStamped()
    link.header.frame_id, link.child_frame_id = RGB_FRAME, 'thermal_optical_frame'
    link.transform.translation.x = -0.05
    link.transform.rotation.w = 1.0
    publish_static(rig, link)
    rig.until(lambda: rig.number('replay pairs') > 0, tick=rig.shoot, what='pairs by tf')
    rig.until(lambda: rig.level('calibration') == 0, tick=rig.shoot)
    assert rig.message('calibration') == 'known'


def publish_static(rig, link):
    """Publish a static transform; where tf2_msgs is not installed, hand it over directly."""
    try:
        from tf2_msgs.msg import TFMessage
    except ImportError:
        rig.node.rig.poses.transforms.add(SimpleNamespace(transforms=[link]))
        return
    profile = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    rig.camera.create_publisher(TFMessage, '/tf_static', profile).publish(
        TFMessage(transforms=[link])
    )


def test_another_calibration_while_running_forgets_pairs(make_adapt_rig):
    rig = make_adapt_rig(least_pairs=100_000).active()
    rig.until(lambda: rig.number('replay pairs') >= 8, tick=rig.shoot, what='pairs')
    rig.focal = 80.0
    rig.until(lambda: rig.number('pairs: calibration changed') > 0, tick=rig.shoot)
    rig.until(lambda: rig.number('replay pairs') < 8, what='forgotten pairs')
    assert rig.number('pairs: calibration changed') == 1


def test_bag_that_loops_starts_afresh_and_goes_on(make_adapt_rig):
    rig = make_adapt_rig(least_pairs=100_000).active()
    rig.until(lambda: rig.number('replay pairs') >= 3, tick=rig.shoot, what='pairs')
    before = rig.number('pairs: taken')
    rig.stamp -= 50 * SECOND
    rig.until(lambda: rig.number('pairs: time jumps') >= 1, tick=rig.shoot, what='jump')
    rig.until(lambda: rig.number('pairs: taken') >= before + 3, tick=rig.shoot, what='pairs')
    assert rig.number('pairing: time jump') == 1


def test_clock_that_jumps_back_resets(make_adapt_rig):
    from rosgraph_msgs.msg import Clock

    rig = make_adapt_rig(use_sim_time=True, least_pairs=100_000)
    clock = rig.camera.create_publisher(Clock, '/clock', 10)
    rig.active()

    def tick(seconds):
        message = Clock()
        message.clock.sec = seconds
        clock.publish(message)

    rig.until(
        lambda: rig.node.get_clock().now().nanoseconds == 100 * SECOND, tick=lambda: tick(100)
    )
    rig.until(lambda: rig.number('replay pairs') > 0, tick=rig.shoot)
    jumps = rig.number('pairs: time jumps')
    rig.until(lambda: rig.node.get_clock().now().nanoseconds == 40 * SECOND, tick=lambda: tick(40))
    rig.until(lambda: rig.number('pairs: time jumps') > jumps, tick=rig.shoot)
    assert rig.node.get_clock().now().nanoseconds == 40 * SECOND


def test_stamps_apart_and_unusable_images_are_counted_and_harmless(make_adapt_rig):
    rig = make_adapt_rig(least_pairs=100_000, max_difference=0.01).active()
    rig.until(
        lambda: rig.number('pairing: a unmatched') > 3,
        tick=lambda: rig.shoot(apart=SECOND // 60),
        what='unmatched',
    )
    assert 'stamps near each other' in rig.message()

    def broken():
        rig.stamp += SECOND // 30
        wrong = Image(height=HEIGHT, width=WIDTH, encoding='mono16', step=1, data=b'12')
        wrong.header.stamp.sec, wrong.header.stamp.nanosec = divmod(rig.stamp, SECOND)
        rig.publishers['thermal/image_raw'].publish(wrong)
        colour = image_message(view(rig.index)[1], rig.stamp, 'rgb8', RGB_FRAME)
        rig.publishers['rgb/image_raw'].publish(colour)

    rig.until(lambda: rig.number('pairs: unusable image') > 2, tick=broken, what='unusable')
    assert rig.level() == 2 and 'unusable image' in rig.message()
    rig.until(lambda: rig.number('replay pairs') > 2, tick=rig.shoot, what='pairs after it')


def test_memory_ceiling_stops_learning_until_it_is_raised(make_adapt_rig):
    rig = make_adapt_rig(memory_limit=20).active()
    rig.until(lambda: rig.number('pairs: memory limit') > 3, tick=rig.shoot)
    assert rig.level() == 2 and 'memory_limit is 20' in rig.message()
    assert rig.level('memory and CPU') == 2 and rig.number('steps') == 0
    assert rig.set(memory_limit=0).successful
    rig.until(lambda: rig.number('steps') > 2, tick=rig.shoot, what='steps')


def test_disk_that_takes_nothing_stops_learning_with_a_diagnostic(make_adapt_rig, tmp_path):
    rig = make_adapt_rig(memory=str(tmp_path / 'memory'), save_seconds=0.1).active()
    rig.until(lambda: rig.number('steps') > 2, tick=rig.shoot, what='steps')
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        # every write beyond 4 kB fails as on a full disk: OSError of the operating system
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        rig.until(
            lambda: rig.level() == 2 and 'learning has stopped' in rig.message(), tick=rig.shoot
        )
        rig.until(lambda: rig.number('pairs: errors of learning') >= 1)
        assert rig.node.stage == 'active'
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    steps = rig.number('steps')
    assert rig.call('enable', on=True, tick=rig.shoot).success
    rig.until(lambda: rig.number('steps') > steps + 3, tick=rig.shoot, what='steps after it')
    assert 'learning has stopped' not in rig.message()


def test_calibration_file_replaces_camera_info(make_adapt_rig, tmp_path):
    file = tmp_path / 'camchain.yaml'
    camera = '  camera_model: pinhole\n  distortion_model: radtan\n'
    camera += '  distortion_coeffs: [0.0, 0.0, 0.0, 0.0]\n'
    camera += f'  intrinsics: [80.0, 80.0, 47.5, 31.5]\n  resolution: [{WIDTH}, {HEIGHT}]\n'
    file.write_text(
        f'cam0:\n{camera}  rostopic: /rgb/image_raw\n'
        f'cam1:\n{camera}  rostopic: /thermal/image_raw\n'
        '  T_cn_cnm1:\n'
        '  - [1.0, 0.0, 0.0, 0.05]\n  - [0.0, 1.0, 0.0, 0.0]\n  - [0.0, 0.0, 1.0, 0.0]\n'
        '  - [0.0, 0.0, 0.0, 1.0]\n'
    )
    rig = make_adapt_rig(extrinsics=None, calibration=str(file)).listen('teacher/camera_info')
    rig.active()
    infos = rig.received['teacher/camera_info']
    rig.until(lambda: infos, tick=rig.shoot, what='camera_info')
    assert infos[-1].k[0] == 80.0
    assert 'cam1 is the thermal camera' in rig.value('calibration', 'extrinsics from')
    assert rig.value('calibration', 'thermal camera') == 'from the file'


def test_broken_calibration_file_or_model_leaves_the_node_unconfigured(make_adapt_rig, tmp_path):
    file = tmp_path / 'rig.yaml'
    file.write_text('extrinsic: [1, 2]\n')
    rig = make_adapt_rig(calibration=str(file))
    rig.until(lambda: 'cannot configure' in rig.message(), what='refusal')
    assert rig.level() == 2 and 'rig.yaml says nothing about the cameras' in rig.message()
    assert rig.node.stage == 'unconfigured'
    # mended, it goes on without a restart
    assert rig.set(calibration='', model='no-such-model').successful
    assert rig.node.trigger_configure().name == 'FAILURE'
    assert 'no-such-model' in rig.node.problem
    assert rig.set(model=rig.values['model']).successful
    assert rig.node.trigger_configure().name == 'SUCCESS'
    assert rig.node.trigger_activate().name == 'SUCCESS'
    assert rig.node.trigger_deactivate().name == 'SUCCESS'
    assert rig.node.trigger_cleanup().name == 'SUCCESS'


def test_live_parameters_are_taken_and_others_refused(make_adapt_rig):
    rig = make_adapt_rig().active()
    assert rig.set(rate=7.0, pair_rate=3.0, cpu_share=0.5, memory_limit=9000).successful
    worker = rig.node.worker
    assert worker.budget.share == 0.5 and worker.memory.limit == 9_000_000_000
    settings = worker.submit(lambda adaptation: str(adaptation.settings))
    text = settings.result(5)
    assert 'step_rate=7.0' in text and 'pair_rate=3.0' in text
    for name, value in (('part', 'head'), ('model', 'x'), ('threads', 2), ('extrinsics', [0.0])):
        old = rig.node.get_parameter(name).value
        result = rig.set(rate=9.0, **{name: value})
        assert not result.successful and name in result.reason, name
        assert rig.node.get_parameter(name).value == old
        assert rig.node.guard.current.rate == 7.0
    assert not rig.set(rate=-1.0).successful
    assert rig.set(enabled=False).successful
    rig.until(lambda: not rig.node.worker.enabled, what='disabled by the parameter')


def test_second_node_on_the_same_folders_is_refused(make_adapt_rig):
    make_adapt_rig().active()
    second = make_adapt_rig(autostart=False)
    assert second.node.trigger_configure().name == 'FAILURE'
    assert 'revisions' in second.node.problem
