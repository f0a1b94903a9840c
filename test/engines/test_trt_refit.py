# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Revisions that enter a plan without a build, on the double."""

from __future__ import annotations

import numpy as np
import pytest
from bundles import make_bundle
from contract import apart, given
from cuda_double import Value
from revision_data import patched
from trt_double import session_of
from trt_rig import VERSIONS, Maker

from monother_ros.core.errors import EngineError
from monother_ros.engines.trt_api import find_trt
from monother_ros.engines.trt_refit import RefitError, refit_plan

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
REFIT = {'refit': True}


@pytest.fixture(params=VERSIONS)
def gpu(request, machine):
    return machine(request.param)


@pytest.fixture
def make(tmp_path):
    return Maker(tmp_path / 'cache')


@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp('models') / 'tiny', 24, 32)


@pytest.fixture(scope='module')
def far(tiny, tmp_path_factory):
    """The revision whose depth is 20 m more, with its weights beside the graph."""
    values = {'farthest': np.asarray(52.0, np.float32)}
    return apart(tiny, tmp_path_factory.mktemp('models') / 'far', values, 'far')


def depth_of(engine, bundle, value=0.5):
    return float(engine.infer(given(bundle, value))['depth'][0, 0, 9, 9])


def near(value):
    return pytest.approx(value, rel=2e-3)


def test_revision_enters_without_a_build(gpu, make, tiny, far):
    with make(tiny, plan=REFIT) as engine:
        assert engine.refittable
        with engine.prepare(far) as following:
            assert following.bundle is far
            assert (gpu.builds, gpu.refits) == (1, 1)
            for value in (0.1, 0.9):
                assert depth_of(engine, tiny, value) == near(32 - 30 * value)
                assert depth_of(following, far, value) == near(52 - 30 * value)
            with following.prepare(tiny) as back:
                assert (gpu.builds, gpu.refits) == (1, 2)
                assert depth_of(back, tiny) == near(17)
            assert depth_of(following, far) == near(37)
        assert depth_of(engine, tiny) == near(17)


def test_weights_are_in_the_recorded_graph(gpu, make, tiny, far):
    with make(tiny, plan=REFIT) as engine, engine.prepare(far) as following:
        assert following.description.endswith('CUDA graph')
        assert depth_of(following, far) == near(37)


def test_start_with_a_revision_takes_the_plan_of_another(gpu, make, tiny, far):
    make(tiny, plan=REFIT).close()
    with make(far, plan=REFIT) as engine:
        assert (gpu.builds, gpu.refits) == (1, 1)
        assert depth_of(engine, far) == near(37)


def test_start_with_a_revision_after_half_precision_was_refused(gpu, make, tiny, far):
    gpu.spoil = lambda header, outputs: {
        **outputs,
        'depth': outputs['depth'] * np.float32(1.1 if header['half'] else 1),
    }
    make(tiny, plan=REFIT).close()
    builds = gpu.builds
    with make(far, plan=REFIT) as engine:
        assert engine.precision == 'fp32'
        assert (gpu.builds, gpu.refits) == (builds, 1)
        assert depth_of(engine, far) == near(37)


def test_plan_without_refit_is_built_again(gpu, make, tiny, far):
    with make(tiny) as engine:
        assert not engine.refittable
        with engine.prepare(far) as following:
            assert (gpu.builds, gpu.refits) == (2, 0)
            assert depth_of(following, far) == near(37)
        assert depth_of(engine, tiny) == near(17)


def test_another_graph_is_built(gpu, make, tiny, tmp_path):
    other = make_bundle(tmp_path / 'other', 24, 32, confidence=False)
    with make(tiny, plan=REFIT) as engine, engine.prepare(other) as following:
        assert gpu.builds == 2
        assert depth_of(following, other) == near(17)
    assert 'does not go into the plan and is built: its graph is another one' in make.text


@pytest.mark.parametrize('where', ['Refitter.refit_cuda_engine', 'Refitter.get_all_weights'])
def test_refit_that_fails_is_a_build(gpu, make, tiny, far, where):
    with make(tiny, plan=REFIT) as engine:
        gpu.world.fail(where, False if where.endswith('engine') else [])
        with engine.prepare(far) as following:
            assert gpu.builds == 2
            assert depth_of(following, far) == near(37)
        assert depth_of(engine, tiny) == near(17)
    assert 'far does not go into the plan and is built' in make.text


def test_refit_that_gives_other_numbers_is_a_build(machine, make, tiny, far):
    """As a version that drops a bias does: no error, wrong depth."""
    gpu = machine('10.13.3.9')

    def spoil(header, outputs):
        return {**outputs, 'depth': outputs['depth'] - np.float32(5 * (gpu.refits == 1))}

    with make(tiny, plan=REFIT, cuda_graph=False) as engine:
        gpu.spoil = spoil
        gpu.world.faults['Builder.build_serialized_network'] = []
        kept = gpu.kinds['Builder'].build_serialized_network

        def build(self, network, config):
            gpu.spoil = None
            return kept(self, network, config)

        gpu.kinds['Builder'].build_serialized_network = build
        with engine.prepare(far) as following:
            assert (gpu.builds, gpu.refits) == (2, 1)
            assert depth_of(following, far) == near(37)
    assert 'far does not go into the plan and is built: ' in make.text


def test_version_that_loses_biases_is_not_refitted(machine, make, tiny, far, monkeypatch):
    from monother_ros.engines.trt_api import TrtApi

    gpu = machine('11.4.0.106')
    monkeypatch.setattr(TrtApi, 'can_refit', property(lambda self: False))
    with make(tiny, plan=REFIT) as engine:
        assert not engine.refittable
        with engine.prepare(far) as following:
            assert (gpu.builds, gpu.refits) == (2, 0)
            assert depth_of(following, far) == near(37)


def test_stored_frames_of_a_revision_are_run(machine, make, tiny, far, tmp_path):
    from monother_ros.core.bundle import write_bundle
    from monother_ros.engines.check import CHECK, CheckFrame, write_check

    gpu = machine()
    inputs = np.full((1, 1, 24, 32), 0.5, np.float32)
    wrong = CheckFrame(inputs, np.full((1, 1, 24, 32), 17.0, np.float32))
    revision = write_bundle(
        tmp_path / 'r',
        model=far.model_path.read_bytes(),
        name=far.name,
        revision='r',
        inputs=far.inputs,
        outputs=far.outputs,
        normalisation=far.normalisation,
        depth_range=far.depth_range,
        extra_files={
            **{
                name: (far.path / name).read_bytes()
                for name in (far.external.data, far.external.replaced)
            },
            CHECK: lambda path: write_check(path, [wrong]),
        },
        external=far.external,
    )
    with make(tiny, plan=REFIT) as engine, engine.prepare(revision) as following:
        assert gpu.refits == 1
        assert depth_of(following, revision) == near(37)
    assert 'r does not go into the plan and is built: revision r, stored frame 0' in make.text


# the function itself


@pytest.fixture
def plan(gpu, tiny):
    """An engine with refit, as TensorRT hands it out, and its API."""
    from monother_ros.engines.cuda import open_cuda

    api, trt = find_trt(), gpu.module
    said = []
    logger = api.logger(lambda level, text: said.append(text))
    builder = trt.Builder(logger)
    network = api.create_network(builder)
    assert trt.OnnxParser(network, logger).parse(tiny.model_path.read_bytes())
    config = builder.create_builder_config()
    config.set_flag(trt.BuilderFlag.REFIT)
    content = bytes(memoryview(builder.build_serialized_network(network, config)))
    with open_cuda().active('test'):
        engine = trt.Runtime(logger).deserialize_cuda_engine(content)
        yield api, engine, logger, said


def test_every_weight_is_exchanged(plan, tiny):
    api, engine, logger, _ = plan
    rng = np.random.default_rng(1)
    model = patched(tiny.model_path.read_bytes(), {'farthest': np.asarray(60, np.float32)})
    assert refit_plan(api, engine, logger, model) == 7
    inputs = {'thermal': rng.uniform(0, 1, (1, 1, 24, 32)).astype(np.float32)}
    found = session_of(engine._impl.content).run(None, inputs)
    wanted = session_of(model).run(None, inputs)
    np.testing.assert_array_equal(found[0], wanted[0])


def test_weights_of_another_network_are_refused(plan, tmp_path):
    api, engine, logger, _ = plan
    other = make_bundle(tmp_path / 'other', 24, 32, channels=3)
    with pytest.raises(RefitError):
        refit_plan(api, engine, logger, other.model_path.read_bytes(), lambda: ': said')


def test_weights_that_are_missing_are_named(gpu, plan, tiny):
    api, engine, logger, _ = plan
    gpu.world.fail('Refitter.get_missing_weights', ['kernel', 'point'])
    with pytest.raises(RefitError, match='wants 2 weights more, such as kernel'):
        refit_plan(api, engine, logger, tiny.model_path.read_bytes())


def test_plan_whose_weights_have_other_names(gpu, plan, tiny):
    """8.6 knows weights by name alone; newer ones read the ONNX file."""
    api, engine, logger, _ = plan
    gpu.world.faults['Refitter.get_all_weights'] = [Value(['kernel', 'folded 7'])]
    model = tiny.model_path.read_bytes()
    if api.has_onnx_refitter:
        assert refit_plan(api, engine, logger, model) == 2
    else:
        with pytest.raises(RefitError, match='has not by name, such as folded 7'):
            refit_plan(api, engine, logger, model)


def test_plan_without_refit_is_refused(gpu, plan, tiny):
    api, engine, logger, _ = plan
    engine._impl.refittable = False
    with pytest.raises(RefitError, match='built without refit'):
        refit_plan(api, engine, logger, tiny.model_path.read_bytes())
    assert issubclass(RefitError, EngineError)
