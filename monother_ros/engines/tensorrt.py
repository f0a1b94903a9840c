# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT on an NVIDIA GPU: the engine of robots."""

from __future__ import annotations

import threading
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from monother_ros.core.errors import BundleError, EngineError
from monother_ros.engines.acceptance import LADDER, Limits, Verdict, accept, judge, reference_of
from monother_ros.engines.base import AUTO, CPU, Engine, EngineOptions
from monother_ros.engines.check import check_engine, read_check
from monother_ros.engines.cuda import CudaLost, open_cuda
from monother_ros.engines.onnx_precision import typed_onnx
from monother_ros.engines.onnxruntime import OnnxRuntimeEngine
from monother_ros.engines.tested import limits_of
from monother_ros.engines.trt_api import find_trt
from monother_ros.engines.trt_build import BuildCancelled
from monother_ros.engines.trt_plans import Plan, Plans, graph_digest, verdict_of
from monother_ros.engines.trt_runtime import PlanRefusedError, RunningPlan, RunSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

    from monother_ros.core.bundle import Bundle
    from monother_ros.engines.acceptance import Acceptance
    from monother_ros.engines.trt_cache import CacheEntry


class TensorRtEngine(Engine):
    """
    A network in TensorRT, whose plan passed the acceptance test.

    A plan comes from the cache or is built, which takes from seconds to many minutes. Before its
    first frame it is compared with ONNX Runtime on the CPU; one that is too far off is refused and
    the next safer precision is built: fp16, fp16 with attention and norms in fp32, fp32.

    A lost CUDA context cannot be repaired within a process. With `options.fallback` the engine
    goes on with ONNX Runtime on the CPU then, which its description and reason say.

    :param bundle: what to run.
    :param options: device ('auto', 'cuda' or 'cuda:1'), precision to begin with ('auto' for the
        fastest), plan, fallback, cuda_graph, zero_copy, tolerance, log, cancelled.
    :raises EngineError: TensorRT, PyCUDA or the GPU is missing, the plan cannot be built, or no
        precision passes the test; with the numbers of each.
    """

    name = 'tensorrt'
    _running: RunningPlan | None
    _plan: Plan | None
    _fallback: OnnxRuntimeEngine | None

    def __init__(self, bundle: Bundle, options: EngineOptions | None = None) -> None:
        """See the class."""
        self._begin(bundle, options or EngineOptions(device=AUTO, precision=AUTO))
        self._ladder()
        if self.options.gpu is None:
            msg = f"TensorRT needs a GPU, but the device is {CPU!r}; give 'auto' or 'cuda'"
            raise EngineError(msg)
        self._api = find_trt()
        self._cuda = open_cuda(self.options.gpu)
        self._plans = Plans(self._api, self._cuda, self.options)
        self._start(donors=True)

    def _begin(self, bundle: Bundle, options: EngineOptions) -> None:
        """What every engine has, with a plan or without."""
        super().__init__(bundle, options)
        self._lock = threading.Lock()
        self._closed = False
        self._running = None
        self._plan = None
        self._fallback = None

    @property
    def description(self) -> str:
        """Engine, version, device and precision in one line."""
        if self._fallback is not None:
            return f'{self._fallback.description}, for {self.name} lost its GPU'
        assert self._plan is not None
        running = self._running
        graph = 'closed' if running is None else running.graph
        how = 'CUDA graph' if graph == 'on' else f'CUDA graph {graph}'
        name = f'{self._api.flavour} {self._api.version}'
        return f'{name} on {self._cuda.description}, {self._plan.precision}, {how}'

    @property
    def precision(self) -> str:
        """What the running plan computes in; 'fp32' after a fall back."""
        return 'fp32' if self._plan is None or self._fallback else self._plan.precision

    @property
    def refittable(self) -> bool:
        """Whether revisions enter without a build."""
        return self._running is not None and self._running.refittable

    def infer(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the network once; see :meth:`Engine.infer`."""
        self.check_inputs(inputs)
        with self._lock:
            engine = self._fallback or self._running
        if engine is None:
            raise EngineError(self._closed_text())
        try:
            return engine.infer(inputs)
        except CudaLost as err:
            if not self.options.fallback:
                raise
            return self._fall_back(err).infer(inputs)

    def prepare(self, bundle: Bundle) -> Self:
        """
        Build an engine for another revision beside this one; see :meth:`Engine.prepare`.

        Where the plan takes new weights, a second copy of it gets them, within moments. Else the
        revision is built as a new network is.
        """
        with self._lock:
            plan, lost = self._plan, self._fallback is not None
        if lost:
            return self._without_gpu(bundle)
        refitted = None if plan is None else self._refitted(plan, bundle)
        engine = self._bare(bundle)
        if refitted is None:
            engine._start(donors=False)
        else:
            engine._running, engine._plan = refitted, plan
        return engine

    def close(self) -> None:
        """Free everything; waits for a run in progress."""
        with self._lock:
            self._closed = True
            engines = (self._running, self._fallback)
            self._running = self._fallback = None
        for engine in engines:
            if engine is not None:
                engine.close()

    # making

    def _ladder(self) -> tuple[str, ...]:
        """Precisions to try, from the one asked for to the safest."""
        wanted = self.options.precision
        if wanted == AUTO:
            return LADDER
        if wanted not in LADDER:
            msg = f'TensorRT has no precision {wanted!r} here; use one of {", ".join(LADDER)}'
            raise EngineError(msg)
        return LADDER[LADDER.index(wanted) :]

    def _start(self, *, donors: bool) -> None:
        """Get a plan to run; not one of another revision where that was tried in vain."""
        self._running, plan = self._make(self._ladder(), donors=donors)
        # the plan lies in the cache: its bytes need not stay in memory
        self._plan = plan if plan.entry is None else replace(plan, content=b'')

    def _make(self, ladder: tuple[str, ...], *, donors: bool) -> tuple[RunningPlan, Plan]:
        """A plan that passed the test, by the first precision that has one."""
        limits, say = limits_of(self.options), self.options.say
        for k, precision in enumerate(ladder):
            plan = self._plans.find(self.bundle, precision)
            known = None if plan is None or plan.entry is None else plan.entry
            verdict = None if known is None else verdict_of(known)
            if plan is None or known is None or verdict is None or not _same_limits(known, limits):
                donated = self._from_donor(ladder[k:]) if donors else None
                return donated or self._tried(ladder[k:], limits)
            if verdict['accepted']:
                try:
                    return self._run(plan, self.bundle), plan
                except PlanRefusedError as err:
                    say(f'{err}; it is built again')
                    self._plans.cache.remove(known)
                    return self._tried(ladder[k:], limits)
            say(f'{precision} was refused before: {Verdict(**verdict).text}')
        told = ', '.join(ladder)
        msg = (
            f'no precision of {self.bundle.name} passes the acceptance test on '
            f'{self._cuda.description} ({told}), see monother engine info; use another engine'
        )
        raise EngineError(msg)

    def _tried(self, ladder: tuple[str, ...], limits: Limits) -> tuple[RunningPlan, Plan]:
        """Build and try out, from the first precision to the first that passes."""
        plans: dict[str, Plan] = {}
        fatal: list[EngineError] = []

        def build(precision: str) -> RunningPlan:
            if fatal:
                raise fatal[0]
            try:
                plans[precision] = plan = self._plans.obtain(self.bundle, precision)
                try:
                    return self._run(plan, self.bundle)
                except PlanRefusedError:
                    if plan.entry is None:
                        raise
                    # of the same version and GPU, and yet not loaded: it is damaged
                    self._plans.cache.remove(plan.entry)
                    plans[precision] = plan = self._plans.obtain(self.bundle, precision)
                    return self._run(plan, self.bundle)
            except (BuildCancelled, CudaLost) as err:
                fatal.append(err)
                raise

        try:
            reference = reference_of(self.bundle, self.options.threads)
            running, acceptance = accept(build, ladder, reference, limits, self.options.log)
        except BundleError as err:
            raise EngineError(str(err)) from err
        except EngineError:
            if fatal:
                raise fatal[0] from None
            raise
        self._keep(plans, acceptance)
        self.options.say(f'{acceptance.precision} passes: {acceptance.verdicts[-1].text}')
        return running, plans[acceptance.precision]

    def _keep(self, plans: dict[str, Plan], acceptance: Acceptance) -> None:
        """Write the verdicts into the cache, with those that led to each."""
        for k, verdict in enumerate(acceptance.verdicts):
            if verdict.runs and verdict.precision in plans:
                partial = replace(acceptance, verdicts=acceptance.verdicts[: k + 1])
                self._plans.judged(plans[verdict.precision], partial.record)

    def _from_donor(self, ladder: tuple[str, ...]) -> tuple[RunningPlan, Plan] | None:
        """A plan of another revision with the weights of this one, instead of a build."""
        found = self._plans.donor(self.bundle, ladder)
        if found is None:
            return None
        plan, model = found
        running = self._refitted(plan, self.bundle, model)
        return None if running is None else (running, plan)

    def _run(self, plan: Plan, bundle: Bundle, weights: bytes | None = None) -> RunningPlan:
        """Load a plan and warm it up."""
        options = self.options
        settings = RunSettings(
            options.cuda_graph,
            options.zero_copy,
            options.plan.version_compatible,
            self._plans.kernels(plan),
        )
        return RunningPlan(
            self._api,
            self._cuda,
            self._plans.content(plan),
            bundle,
            settings,
            weights,
            options.log,
        )

    def _refitted(
        self, plan: Plan, bundle: Bundle, model: bytes | None = None
    ) -> RunningPlan | None:
        """
        A copy of a plan with the weights of another revision, tried out.

        :param plan: that takes new weights.
        :param bundle: whose weights they are.
        :param model: its ONNX file in the precision of the plan, where it is known to fit.
        :returns: None where that cannot be; why is told.
        :raises CudaLost: the context of the process is broken.
        """
        if not self._plans.settings(plan.precision).refit:
            return None
        running = None
        try:
            if model is None:
                model = typed_onnx(bundle, plan.precision).content
                if graph_digest(model) != plan.graph:
                    msg = 'its graph is another one'
                    raise EngineError(msg)
            running = self._run(plan, bundle, model)
            self._check(running, bundle, plan.precision)
        except (EngineError, BundleError) as err:
            if running is not None:
                running.close()
            if isinstance(err, CudaLost):
                raise
            self.options.say(f'{bundle.revision} does not go into the plan and is built: {err}')
            return None
        return running

    def _check(self, running: RunningPlan, bundle: Bundle, precision: str) -> None:
        """Refuse a refitted plan that does not say what the revision is known to say."""
        frames = read_check(bundle)
        if frames:
            check_engine(running, frames, self.options.tolerance)
            return
        reference = reference_of(bundle, self.options.threads)
        verdict = judge(running, reference, limits_of(self.options), precision)
        if not verdict.accepted:
            raise EngineError(verdict.text)

    # without a GPU

    def _bare(self, bundle: Bundle) -> Self:
        """An engine with the same options and no plan yet."""
        engine = type(self).__new__(type(self))
        engine._begin(bundle, self.options)
        engine._api, engine._cuda, engine._plans = self._api, self._cuda, self._plans
        engine.reason = self.reason
        return engine

    def _without_gpu(self, bundle: Bundle) -> Self:
        """An engine on the CPU from the beginning, after the GPU was lost."""
        engine = self._bare(bundle)
        engine._plan = self._plan
        engine._fallback = engine._on_cpu()
        return engine

    def _on_cpu(self) -> OnnxRuntimeEngine:
        return OnnxRuntimeEngine(self.bundle, EngineOptions(threads=self.options.threads))

    def _fall_back(self, err: CudaLost) -> OnnxRuntimeEngine:
        """Go on with ONNX Runtime, once."""
        with self._lock:
            if self._closed:
                raise EngineError(self._closed_text()) from err
            if self._fallback is None:
                self._fallback = self._on_cpu()
                self.reason = f'fell back to onnxruntime: {err}'
                self.options.say(self.reason)
                lost, self._running = self._running, None
                if lost is not None:
                    lost.close()
            return self._fallback

    def _closed_text(self) -> str:
        return f'the engine of {self.bundle.name} {self.bundle.revision} has been closed'


def _same_limits(entry: CacheEntry, limits: Limits) -> bool:
    """Whether a plan was judged by the limits that hold now."""
    return (entry.acceptance or {}).get('limits') == asdict(limits)
