# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What every kind of engine does alike.

A test module of an engine makes a class of :class:`EngineContract` and says how it is built.
"""

from __future__ import annotations

import dataclasses
import gc
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from bundles import make_bundle

from monother_ros.core.bundle import Bundle, TensorSpec, write_bundle
from monother_ros.core.errors import EngineError
from monother_ros.core.initialisers import DATA, INITIALISERS, External
from monother_ros.core.tensor_file import write_tensors
from monother_ros.engines.acceptance import judge, reference_of
from monother_ros.engines.base import Engine, EngineOptions


def apart(source: Bundle, folder: Path, values: dict, revision: str = 'next') -> Bundle:
    """The same model with its weights beside the graph, some of them replaced."""
    from monother_ros.networks.external_data import externalise

    return write_bundle(
        folder,
        model=lambda path: externalise(source.model_path, path, path.parent / DATA),
        name=source.name,
        revision=revision,
        inputs=source.inputs,
        outputs=source.outputs,
        normalisation=source.normalisation,
        depth_range=source.depth_range,
        extra_files={
            DATA: lambda path: None,
            INITIALISERS: lambda path: write_tensors(path, values),
        },
        external=External(DATA, INITIALISERS),
    )


_MADE: list[Bundle] = []


def given(bundle: Bundle, value: float = 0.5) -> dict:
    """Inputs of one value."""
    return {spec.name: np.full(spec.shape, value, spec.dtype) for spec in bundle.inputs}


class EngineContract:
    """
    Tests of any engine.

    :cvar rtol: of depth; float16 and bf16 need more than the default.
    """

    rtol = 1e-5

    def build(self, bundle: Bundle, **options) -> Engine:
        """Make the engine; options are those of EngineOptions."""
        raise NotImplementedError

    @pytest.fixture
    def bundle(self, tmp_path_factory):
        pytest.importorskip('onnx')
        if not _MADE:
            _MADE.append(make_bundle(tmp_path_factory.mktemp('models') / 'tiny', 24, 32))
        return _MADE[0]

    @pytest.fixture
    def engine(self, bundle):
        with self.build(bundle) as engine:
            yield engine

    def near(self, found, wanted):
        np.testing.assert_allclose(found, wanted, rtol=self.rtol, atol=self.rtol)

    def test_says_what_it_is(self, bundle, engine):
        assert engine.name in engine.description
        assert '\n' not in engine.description
        assert engine.reason
        assert engine.bundle is bundle

    def test_runs_the_network(self, bundle, engine):
        outputs = engine.infer(given(bundle))
        assert outputs.keys() == {'depth', 'confidence'}
        for value in outputs.values():
            assert value.shape == (1, 1, 24, 32)
            assert value.dtype == np.float32
        self.near(outputs['depth'][0, 0, 5:-5, 5:-5], 2 + 30 * 0.5)
        self.near(outputs['confidence'][0, 0, 5:-5, 5:-5], 1)

    def test_depth_depends_on_the_input(self, bundle, engine):
        warm = engine.infer(given(bundle, 0.9))['depth'].copy()
        assert (warm < engine.infer(given(bundle, 0.1))['depth']).all()

    def test_input_is_not_kept(self, bundle, engine):
        inputs = given(bundle, 0.25)
        first = engine.infer(inputs)['depth'].copy()
        inputs['thermal'][:] = 0.75
        second = engine.infer(inputs)['depth'].copy()
        self.near(first[0, 0, 5:-5, 5:-5], 2 + 30 * 0.75)
        self.near(second[0, 0, 5:-5, 5:-5], 2 + 30 * 0.25)
        assert (first > second).all()

    def test_input_of_any_memory_layout(self, bundle, engine):
        rng = np.random.default_rng(3)
        wide = rng.uniform(0, 1, (1, 1, 24, 64)).astype(np.float32)
        sliced = wide[..., ::2]
        wanted = engine.infer({'thermal': sliced.copy()})['depth'].copy()
        self.near(engine.infer({'thermal': sliced})['depth'], wanted)
        read_only = sliced.copy()
        read_only.setflags(write=False)
        self.near(engine.infer({'thermal': read_only})['depth'], wanted)
        assert wanted.std() > 0.1

    def test_passes_the_acceptance_test(self, bundle, engine):
        verdict = judge(engine, reference_of(bundle, threads=1))
        assert verdict.accepted, verdict.text
        assert verdict.repeat == 0

    def test_without_confidence_and_with_three_channels(self, tmp_path):
        bundle = make_bundle(tmp_path / 'm', 8, 8, confidence=False, channels=3)
        with self.build(bundle) as engine:
            assert engine.infer(given(bundle)).keys() == {'depth'}

    @pytest.mark.parametrize(
        ('change', 'sentence'),
        [
            (lambda x: {}, r"takes \['thermal'\], but got \[\]"),
            (lambda x: {**x, 'more': x['thermal']}, 'but got'),
            (lambda x: {'thermal': x['thermal'][:, :, :, :-1]}, r'but got \(1, 1, 24, 31\)'),
            (lambda x: {'thermal': x['thermal'].astype(np.float64)}, 'but got .* float64'),
        ],
    )
    def test_inputs_are_checked_against_the_bundle(self, bundle, engine, change, sentence):
        with pytest.raises(EngineError, match=sentence):
            engine.infer(change(given(bundle)))
        assert engine.infer(given(bundle))['depth'].size

    @pytest.mark.parametrize(
        'fields',
        [
            {'inputs': (TensorSpec('rgb', (1, 1, 24, 32)),)},
            {'inputs': (TensorSpec('thermal', (1, 1, 24, 30)),)},
            {'inputs': (TensorSpec('thermal', (1, 1, 24, 32), 'float16'),)},
            {'outputs': {'depth': 'gone'}},
        ],
    )
    def test_network_is_checked_against_the_manifest(self, bundle, fields):
        with pytest.raises(EngineError, match=r"manifest|'gone'"):
            self.build(dataclasses.replace(bundle, **fields))

    def test_file_that_is_no_network(self, tmp_path, bundle):
        folder = tmp_path / 'm'
        folder.mkdir()
        (folder / 'model.onnx').write_bytes(b'nothing')
        with pytest.raises(EngineError):
            self.build(dataclasses.replace(bundle, path=folder))

    def test_close_is_final_and_harmless(self, bundle):
        engine = self.build(bundle)
        engine.close()
        engine.close()
        with pytest.raises(EngineError, match='has been closed'):
            engine.infer(given(bundle))

    def test_close_while_others_infer(self, bundle):
        engine, errors, done = self.build(bundle), [], []

        def work():
            try:
                for _ in range(50000):
                    assert np.isfinite(engine.infer(given(bundle))['depth']).all()
                    done.append(1)
            except EngineError as err:
                errors.append(str(err))

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        while len(done) < 20 and any(thread.is_alive() for thread in threads):
            time.sleep(0.001)
        engine.close()
        for thread in threads:
            thread.join(10)
        assert len(errors) == 3
        assert all('has been closed' in text for text in errors)

    def test_prepare_builds_beside(self, bundle, engine, tmp_path):
        other = make_bundle(tmp_path / 'next', 24, 32, revision='2')
        with engine.prepare(other) as following:
            assert following.bundle.revision == '2'
            assert following.options == engine.options
            assert following.reason == engine.reason
            assert engine.infer(given(bundle))['depth'].size
            assert following.infer(given(other))['depth'].size

    def test_prepare_that_fails_leaves_the_engine(self, bundle, engine):
        with pytest.raises(EngineError):
            engine.prepare(dataclasses.replace(bundle, outputs={'depth': 'gone'}))
        assert engine.infer(given(bundle))['depth'].size

    def test_prepare_takes_new_weights_and_shares_nothing(self, bundle, tmp_path):
        first = apart(bundle, tmp_path / 'a', {}, 'a')
        farther = {'farthest': np.asarray(52.0, np.float32)}
        second = apart(bundle, tmp_path / 'b', farther, 'b')
        with self.build(first) as engine, engine.prepare(second) as following:
            gc.collect()
            for _ in range(3):
                near = engine.infer(given(bundle))['depth'][0, 0, 5:-5, 5:-5].copy()
                far = following.infer(given(bundle))['depth'][0, 0, 5:-5, 5:-5].copy()
                self.near(near, 17)
                self.near(far, 37)
                assert (far > near).all()
            with following.prepare(first) as back:
                self.near(back.infer(given(bundle))['depth'][0, 0, 5:-5, 5:-5], 17)

    def test_prepare_while_others_infer(self, bundle, tmp_path):
        first = apart(bundle, tmp_path / 'a', {}, 'a')
        second = apart(bundle, tmp_path / 'b', {'farthest': np.asarray(52.0, np.float32)}, 'b')
        errors, stop = [], threading.Event()
        with self.build(first) as engine:

            def work():
                try:
                    while not stop.is_set():
                        self.near(engine.infer(given(bundle))['depth'][0, 0, 5:-5, 5:-5], 17)
                except Exception as err:
                    errors.append(err)

            thread = threading.Thread(target=work)
            thread.start()
            try:
                with engine.prepare(second) as following:
                    self.near(following.infer(given(bundle))['depth'][0, 0, 5:-5, 5:-5], 37)
            finally:
                stop.set()
                thread.join(10)
        assert not errors

    def test_unknown_precision_and_device(self, bundle):
        with pytest.raises(EngineError, match="precision 'fp7' is not known; use one of auto"):
            self.build(bundle, precision='fp7')
        with pytest.raises(EngineError, match="device 'abacus' is not known"):
            self.build(bundle, device='abacus')

    def test_options_are_kept(self, bundle):
        with self.build(bundle, warmup=False) as engine:
            assert isinstance(engine.options, EngineOptions)
            assert not engine.options.warmup
