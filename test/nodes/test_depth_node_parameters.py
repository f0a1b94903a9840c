# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of the running node: what changes live does, the rest is refused with the reason."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy')
from depth_rig import Rig, depth_of
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.parameter import Parameter

from monother_ros.ros.parameters import DepthNodeParameters, defaults, specs

OTHER = {
    'model': 'elsewhere',
    'revisions': 'revisions',
    'engine': 'onnxruntime',
    'device': 'cuda',
    'precision': 'fp16',
    'engine_fallback': True,
    'engine_cache': '~/engines',
    'threads': 2,
    'thermal_transport': 'compressed',
    'thermal_reliability': 'reliable',
    'expected_rate': 12.5,
    'silence_timeout': 3.0,
    'color_cloud': False,
    'rgb_transport': 'compressed',
    'rgb_reliability': 'reliable',
    'rgb_extrinsics': np.eye(4).ravel().tolist(),
    'sync_policy': 'exact',
    'sync_slop': 0.2,
    'lidar_reliability': 'reliable',
    'lidar_extrinsics': np.eye(4).ravel().tolist(),
    'lidar_slop': 0.5,
    'lidar_clutter_filter': False,
    'scale_sources': 'model, range',
    'scale_force': 'range',
    'scale_rate': 0.1,
    'scale_window': 2.0,
    'scale_hold': 5.0,
    'output_size': 'network',
    'range_min': 1.0,
    'range_max': 60.0,
    'confidence_min': 0.25,
    'process_shutter_frames': True,
    'depth_reliability': 'best_effort',
    'confidence_reliability': 'best_effort',
    'points_reliability': 'best_effort',
    'color_reliability': 'best_effort',
    'diagnostics_period': 0.5,
}
"""Another allowed value of every parameter but autostart."""


@pytest.fixture(scope='module')
def shared_rig(tiny_bundle):
    """One active node for all the tests that leave it as it was."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv('ROS_DOMAIN_ID', '93')
        environment.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        # another test of this process may use the same domain
        rig = Rig(tiny_bundle, namespace='shared', device='auto', precision='auto')
    rig.listen('depth/image_raw')
    yield rig.active().matched()
    rig.close()


def test_every_parameter_has_a_case_here():
    assert set(OTHER) | {'autostart'} == set(defaults())
    assert all(OTHER[name] != defaults()[name] for name in OTHER)


@pytest.mark.parametrize('name', [n for n in OTHER if specs()[n].live])
def test_live_parameter_is_taken(shared_rig, name):
    rig = shared_rig
    old = rig.node.get_parameter(name).value
    result = rig.set(**{name: OTHER[name]})
    assert result.successful, result.reason
    assert getattr(rig.node.guard.current, name) == OTHER[name]
    settings = rig.node.pipeline.settings
    if hasattr(settings, name):
        assert getattr(settings, name) == OTHER[name]
    assert rig.set(**{name: list(old) if name.endswith('extrinsics') else old}).successful


@pytest.mark.parametrize('name', [n for n in OTHER if not specs()[n].live])
def test_other_parameter_is_refused_with_the_reason(shared_rig, name):
    rig = shared_rig
    old = rig.node.get_parameter(name).value
    result = rig.set(**{name: OTHER[name]})
    assert not result.successful
    assert name in result.reason and 'needs a restart (cleanup + configure)' in result.reason
    assert rig.node.get_parameter(name).value == old
    # the value that it has is accepted, as when a whole file is loaded
    assert rig.set(**{name: old}).successful


def test_read_only_parameter_is_refused(shared_rig):
    result = shared_rig.set(autostart=False)
    assert not result.successful and 'read-only' in result.reason


@pytest.mark.parametrize(
    ('values', 'words'),
    [
        ({'range_min': 90.0}, 'not below range_max'),
        ({'range_min': 1.0, 'range_max': float('nan')}, 'nan'),
        ({'range_min': 1.0, 'confidence_min': 7.0}, ''),
        ({'range_min': 1.0, 'output_size': 'huge'}, 'use one of image, network'),
        ({'range_min': 1.0, 'rgb_extrinsics': [1.0, 2.0]}, 'give 16'),
        ({'range_min': 1.0, 'threads': 3}, 'threads needs a restart'),
    ],
)
def test_a_refused_set_leaves_every_old_value(shared_rig, values, words):
    rig = shared_rig
    result = rig.set(**values)
    assert not result.successful and words in result.reason
    assert rig.node.guard.current.range_min == DepthNodeParameters().range_min
    for name, value in defaults().items():
        if name not in ('model', 'diagnostics_period'):
            assert rig.node.get_parameter(name).value == value


def test_range_moves_live_and_both_ends_together(shared_rig):
    rig = shared_rig
    depth = depth_of(rig.first('depth/image_raw'))
    middle = float(np.nanmedian(depth))
    assert rig.set(range_max=middle).successful

    def cut():
        seen = depth_of(rig.received['depth/image_raw'][-1])
        return np.isnan(seen).mean() > 0.3 and np.nanmax(seen) <= middle

    rig.until(cut, tick=rig.shoot, what='limited depth')
    # neither alone would be allowed from here
    assert not rig.set(range_min=middle + 10).successful
    assert rig.set(range_min=middle + 10, range_max=middle + 20).successful
    assert rig.set(range_min=0.5, range_max=80.0).successful


def test_output_size_changes_between_two_frames(shared_rig):
    rig = shared_rig
    assert rig.set(output_size='network').successful
    depths = rig.received['depth/image_raw']
    rig.until(lambda: depths and depths[-1].width == 160, tick=lambda: rig.shoot(320, 256))
    assert rig.set(output_size='image').successful
    rig.until(lambda: depths[-1].width == 320, tick=lambda: rig.shoot(320, 256))


def test_confidence_limit_makes_holes(shared_rig):
    rig = shared_rig
    assert rig.set(confidence_min=0.95).successful
    rig.until(
        lambda: np.isnan(depth_of(rig.received['depth/image_raw'][-1])).any(),
        tick=rig.shoot,
        what='holes',
    )
    assert rig.set(confidence_min=0.0).successful


def test_diagnostics_period_changes_live(shared_rig):
    rig = shared_rig
    assert rig.set(diagnostics_period=0.05).successful
    rig.spin(0.2)
    counts = []
    subscription = rig.listener.create_subscription(
        DiagnosticArray, '/diagnostics', counts.append, 50
    )
    rig.until(lambda: len(counts) >= 10, timeout=3.0, what='ten messages at 20 Hz')
    rig.listener.destroy_subscription(subscription)
    assert rig.set(diagnostics_period=0.1).successful


def test_what_needs_a_restart_is_taken_while_unconfigured(make_rig):
    rig = make_rig(autostart=False)
    assert rig.set(threads=1, range_min=2.0).successful
    assert rig.node.trigger_configure().name == 'SUCCESS'
    assert rig.node.guard.current.threads == 1
    assert rig.node.pipeline.settings.range_min == 2.0
    assert '1 thread' in rig.node.engine.description
    assert not rig.set(threads=2).successful
    assert rig.node.trigger_cleanup().name == 'SUCCESS'
    assert rig.set(threads=2).successful


def test_wrong_type_or_range_at_start_is_an_error(make_rig):
    from rclpy.exceptions import ParameterException

    for name, value in (('range_min', 'near'), ('confidence_min', 3.0), ('threads', 100)):
        with pytest.raises(ParameterException):
            make_rig(**{name: value})


def test_parameters_can_be_set_over_the_parameter_service(shared_rig):
    from rcl_interfaces.srv import SetParametersAtomically

    rig = shared_rig
    client = rig.listener.create_client(
        SetParametersAtomically, 'depth_node/set_parameters_atomically'
    )
    rig.until(client.service_is_ready)
    request = SetParametersAtomically.Request()
    request.parameters = [
        Parameter('range_min', value=3.0).to_parameter_msg(),
        Parameter('range_max', value=2.0).to_parameter_msg(),
    ]
    future = client.call_async(request)
    rig.until(future.done)
    assert not future.result().result.successful
    assert 'not below' in future.result().result.reason
