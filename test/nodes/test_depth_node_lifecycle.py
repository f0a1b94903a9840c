# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Transitions of the depth node, those that fail among them."""

from __future__ import annotations

import json

import pytest

pytest.importorskip('rclpy')
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState

from monother_ros.core.errors import EngineError


class Manager:
    """A lifecycle manager that talks to the node's services."""

    def __init__(self, rig):
        self._rig = rig
        self._change = rig.listener.create_client(ChangeState, '/depth_node/change_state')
        self._get = rig.listener.create_client(GetState, '/depth_node/get_state')
        rig.until(lambda: self._change.service_is_ready() and self._get.service_is_ready())

    def _call(self, client, request):
        future = client.call_async(request)
        self._rig.until(future.done, what='service')
        return future.result()

    def change(self, transition):
        return self._call(self._change, ChangeState.Request(transition=Transition(id=transition)))

    def state(self):
        return self._call(self._get, GetState.Request()).current_state.id


def test_a_manager_takes_the_node_up_and_down_twice(make_rig):
    rig = make_rig(autostart=False)
    manager = Manager(rig)
    rig.listen('depth/image_raw')
    rig.until(lambda: 'unconfigured' in rig.message('depth'))
    assert rig.image.get_subscription_count() == 0
    for _ in range(2):
        assert manager.state() == State.PRIMARY_STATE_UNCONFIGURED
        assert rig.node.engine is None
        assert manager.change(Transition.TRANSITION_CONFIGURE).success
        assert manager.state() == State.PRIMARY_STATE_INACTIVE
        assert rig.node.engine is not None
        # an inactive node costs the camera nothing
        assert rig.image.get_subscription_count() == 0
        assert manager.change(Transition.TRANSITION_ACTIVATE).success
        assert manager.state() == State.PRIMARY_STATE_ACTIVE
        rig.active().matched()
        rig.first('depth/image_raw')
        assert manager.change(Transition.TRANSITION_DEACTIVATE).success
        rig.until(lambda: rig.image.get_subscription_count() == 0)
        assert manager.change(Transition.TRANSITION_CLEANUP).success
    assert manager.change(Transition.TRANSITION_UNCONFIGURED_SHUTDOWN).success
    assert manager.state() == State.PRIMARY_STATE_FINALIZED


def test_shutdown_of_an_active_node_frees_the_engine(make_rig):
    rig = make_rig().active()
    engine = rig.node.engine
    manager = Manager(rig)
    assert manager.change(Transition.TRANSITION_ACTIVE_SHUTDOWN).success
    assert manager.state() == State.PRIMARY_STATE_FINALIZED
    assert rig.node.engine is None
    with pytest.raises(EngineError, match='closed'):
        engine.infer({spec.name: _zeros(spec) for spec in engine.bundle.inputs})


def _zeros(spec):
    import numpy as np

    return np.zeros(spec.shape, spec.dtype)


@pytest.mark.parametrize('defect', ['missing', 'changed', 'newer'])
def test_a_bad_bundle_leaves_the_node_unconfigured_and_says_why(
    make_rig, tiny_bundle, tmp_path, defect
):
    import shutil

    path = tmp_path / 'bundle'
    if defect != 'missing':
        shutil.copytree(tiny_bundle, path)
    if defect == 'changed':
        with (path / 'model.onnx').open('ab') as handle:
            handle.write(b'x')
    if defect == 'newer':
        manifest = json.loads((path / 'model.json').read_text())
        manifest['format'] = 99
        (path / 'model.json').write_text(json.dumps(manifest))
    rig = make_rig(model=path)
    rig.until(lambda: rig.level('depth') == 2, what='diagnostics')
    assert 'cannot configure' in rig.message('depth')
    assert str(path) in rig.message('depth') or 'format' in rig.message('depth')
    assert rig.node.stage == 'unconfigured'
    manager = Manager(rig)
    assert manager.state() == State.PRIMARY_STATE_UNCONFIGURED
    # mended: the same node can be configured without a restart
    assert rig.set(model=str(tiny_bundle)).successful
    assert manager.change(Transition.TRANSITION_CONFIGURE).success
    assert manager.change(Transition.TRANSITION_ACTIVATE).success
    rig.until(lambda: rig.level('depth') == 0)


def test_settings_that_contradict_at_start_leave_the_node_unconfigured(make_rig):
    rig = make_rig(range_min=50.0, range_max=20.0)
    rig.until(lambda: 'not below range_max' in rig.message('depth'))
    assert rig.set(range_max=60.0).successful
    assert rig.node.trigger_configure().name == 'SUCCESS'


def test_an_engine_that_is_not_there_is_named(make_rig):
    rig = make_rig(engine='abacus')
    rig.until(lambda: "engine 'abacus' is not known" in rig.message('depth'))
    assert rig.node.stage == 'unconfigured' and rig.node.outputs is None


def test_message_filters_policy_is_refused_where_it_is_not_installed(make_rig):
    try:
        import message_filters  # noqa: F401
    except ImportError:
        rig = make_rig(sync_policy='approximate')
        rig.until(lambda: 'needs message_filters' in rig.message('depth'))
        assert rig.node.stage == 'unconfigured'
    else:
        pytest.skip('message_filters is installed')


def test_failing_warm_up_leaves_the_node_inactive(make_rig, monkeypatch):
    rig = make_rig(autostart=False)
    assert rig.node.trigger_configure().name == 'SUCCESS'

    def fail(_inputs):
        raise EngineError('no memory')

    with monkeypatch.context() as patch:
        patch.setattr(rig.node.engine, 'infer', fail)
        assert rig.node.trigger_activate().name == 'FAILURE'
    assert Manager(rig).state() == State.PRIMARY_STATE_INACTIVE
    assert rig.node.worker is None and rig.node.image is None
    rig.until(lambda: 'cannot activate: no memory' in rig.message('depth'))
    assert rig.node.trigger_activate().name == 'SUCCESS'


def test_an_unexpected_error_in_a_transition_is_logged_with_its_place(make_rig, monkeypatch):
    rig = make_rig(autostart=False)

    def crash(*_args):
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr('monother_ros.nodes.depth_node.load_engine', crash)
        assert rig.node.trigger_configure().name == 'FAILURE'
    assert 'ZeroDivisionError' in rig.node.problem and 'depth_node.py' in rig.node.problem
    assert rig.node.trigger_configure().name == 'SUCCESS'
