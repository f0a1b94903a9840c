# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
From a typed ONNX file to a TensorRT plan.

A build takes seconds to minutes. It runs in a thread of its own: whoever waits sees a log line
every few seconds and can stop it. Nothing is written before it has ended well.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from monother_ros.core.errors import EngineError
from monother_ros.core.files import atomic_write
from monother_ros.engines.onnx_precision import TypedOnnx
from monother_ros.engines.trt_progress import BuildProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from monother_ros.engines.trt_api import TrtApi

LOG_EVERY = 4.0
"""Seconds between two lines about a build that goes on."""

_POLL = 0.1
_KEPT_ERRORS = 4

Shapes = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""Smallest, usual and largest shape of an input."""


class BuildCancelled(EngineError):  # noqa: N818 - nothing went wrong
    """A build that was stopped on request."""


@dataclass(frozen=True)
class BuildSettings:
    """
    How a plan is built; everything here is part of the cache's key.

    :param precision: see :data:`monother_ros.engines.onnx_precision.PRECISIONS`.
    :param workspace: bytes that a tactic may use for scratch memory.
    :param level: builder optimisation level 0 to 5; TensorRT's own default is 3.
    :param refit: weights can be exchanged in the plan.
    :param refit_names: limit this to some weights, where the version can.
    :param version_compatible: the plan runs on later versions with the same major number.
    :param hardware_compatible: the plan runs on all GPUs from Ampere on.
    :param targets: compute capabilities such as '8.6'; none for the GPU at hand.
    :param profile: smallest, usual and largest shape of each input with open axes, by name.
    """

    precision: str = 'fp16'
    workspace: int = 1 << 30
    level: int = 3
    refit: bool = False
    refit_names: tuple[str, ...] = ()
    version_compatible: bool = False
    hardware_compatible: bool = False
    targets: tuple[str, ...] = ()
    profile: dict[str, Shapes] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Everything, as JSON has it."""
        data = asdict(self)
        data['refit_names'] = sorted(self.refit_names)
        data['targets'] = list(self.targets)
        data['profile'] = {k: [list(s) for s in v] for k, v in sorted(self.profile.items())}
        return data


def build_plan(
    api: TrtApi,
    onnx: TypedOnnx | bytes,
    settings: BuildSettings | None = None,
    timing_cache: Path | None = None,
    progress: Callable[[str, float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    around: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> bytes:
    """
    Build a plan.

    :param api: TensorRT.
    :param onnx: see :func:`monother_ros.engines.onnx_precision.typed_onnx`; bytes of a file in
        float32 do as well.
    :param settings: how; of the precision, only what the file says counts here.
    :param timing_cache: file that is read and written, so that the next build is faster; one that
        does not fit is ignored and replaced. None for none.
    :param progress: called every few seconds with the stage and the share done, 0 to 1, in the
        thread of the caller; None logs a line.
    :param cancelled: asked all the time; the build stops soon after it said True.
    :param around: entered in the thread that builds; makes the CUDA context of a GPU current.
    :returns: the plan.
    :raises BuildCancelled: it was stopped.
    :raises EngineError: the parser does not take the network (with the names of the nodes), or
        the builder failed (with what TensorRT said).
    """
    if cancelled is not None and cancelled():
        msg = 'the build of the engine was stopped before it began'
        raise BuildCancelled(msg)
    job = _Job(api, onnx, settings or BuildSettings(), timing_cache, around)
    say = progress or _log_line
    thread = threading.Thread(target=job.run, name='trt-build', daemon=True)
    thread.start()
    last = time.monotonic()
    try:
        while thread.is_alive():
            thread.join(_POLL)
            if cancelled is not None and cancelled():
                job.stop.set()
                if not job.stops:
                    break
            if time.monotonic() - last >= LOG_EVERY:
                last = time.monotonic()
                say(*job.progress.state())
    except BaseException:
        # Ctrl-C comes here and not into the builder's callbacks, which could not bear it
        job.stop.set()
        if job.stops:
            thread.join()
        raise
    if job.stop.is_set():
        msg = 'the build of the engine was stopped'
        raise BuildCancelled(msg)
    if job.error is not None:
        raise job.error
    assert job.plan is not None
    return job.plan


def _log_line(stage: str, share: float) -> None:
    """Say where a build is."""
    logging.getLogger(__name__).info('building the engine: %s, %.0f %%', stage, 100 * share)


class _Job:
    """One build, run in a thread."""

    def __init__(
        self,
        api: TrtApi,
        onnx: TypedOnnx | bytes,
        settings: BuildSettings,
        timing_cache: Path | None,
        around: Callable[[], AbstractContextManager[Any]],
    ) -> None:
        self._around = around
        self._api = api
        self._onnx = onnx if isinstance(onnx, TypedOnnx) else TypedOnnx(onnx, 'fp32')
        self._settings = settings
        self._timing_cache = timing_cache
        self._said: list[str] = []
        self.progress = BuildProgress()
        self.stop = threading.Event()
        self.stops = hasattr(api.module, 'IProgressMonitor')
        self.plan: bytes | None = None
        self.error: Exception | None = None

    def run(self) -> None:
        """Build; what went wrong is kept for the caller."""
        try:
            with self._around():
                self.plan = self._build()
        except EngineError as err:
            self.error = err
        except Exception as err:  # pybind11 raises what it likes
            self.error = EngineError(f'{self._api.label} failed: {err}{self._words()}')

    def _build(self) -> bytes:
        api, settings = self._api, self._settings
        logger = api.logger(self._log)
        builder = api.module.Builder(logger)
        network = api.create_network(builder)
        self.progress.begin('reading the network')
        parser = api.module.OnnxParser(network, logger)
        if not parser.parse(self._onnx.content):
            raise EngineError(self._refusal(parser))
        config = builder.create_builder_config()
        config.set_memory_pool_limit(api.module.MemoryPoolType.WORKSPACE, int(settings.workspace))
        config.builder_optimization_level = int(settings.level)
        api.set_precision(config, half=self._onnx.half, int8=self._onnx.int8)
        if self._onnx.half:
            api.keep_float32(network, self._onnx.float32_nodes)
        api.set_targets(config, settings.targets)
        api.set_compatibility(
            config, version=settings.version_compatible, hardware=settings.hardware_compatible
        )
        if settings.refit:
            api.set_refit(config, network, settings.refit_names or None)
        self._shapes(builder, network, config)
        timing = self._load_timing(config)
        monitor = api.progress_monitor(self.progress.update, self.stop.is_set)
        if monitor is not None:
            config.progress_monitor = monitor
        self.progress.begin('choosing kernels')
        plan = builder.build_serialized_network(network, config)
        if self.stop.is_set():
            msg = 'the build of the engine was stopped'
            raise BuildCancelled(msg)
        if plan is None:
            msg = f'{api.label} could not build the engine{self._words()}'
            raise EngineError(msg)
        content = bytes(memoryview(plan))
        if timing:
            self._save_timing(config)
        return content

    def _shapes(self, builder: Any, network: Any, config: Any) -> None:
        """Optimisation profile of inputs with open axes."""
        wanted = dict(self._settings.profile)
        profile = None
        for k in range(network.num_inputs):
            tensor = network.get_input(k)
            if all(int(n) >= 0 for n in tensor.shape):
                continue
            if tensor.name not in wanted:
                msg = (
                    f'input {tensor.name} has open axes {tuple(tensor.shape)}; say its smallest, '
                    'usual and largest shape'
                )
                raise EngineError(msg)
            profile = profile or builder.create_optimization_profile()
            profile.set_shape(tensor.name, *wanted[tensor.name])
        if profile is not None and config.add_optimization_profile(profile) < 0:
            msg = f'{self._api.label} does not take the shapes {wanted}{self._words()}'
            raise EngineError(msg)

    def _load_timing(self, config: Any) -> bool:
        """Hand over what earlier builds measured; whether there is something to keep."""
        path = self._timing_cache
        if path is None or not self._api.measures:
            return False
        for content in (_read(path), b''):
            try:
                cache = config.create_timing_cache(content)
                if cache is not None and config.set_timing_cache(cache, False):
                    return True
            except Exception as err:  # noqa: PERF203 - a cache of another version
                logging.getLogger(__name__).debug('timing cache %s: %s', path, err)
        return False

    def _save_timing(self, config: Any) -> None:
        """Keep what was measured; a build whose timings cannot be kept is no worse for it."""
        try:
            assert self._timing_cache is not None
            content = bytes(memoryview(config.get_timing_cache().serialize()))
            atomic_write(self._timing_cache, content)
        except Exception as err:  # disk full, or a builder without timings
            logging.getLogger(__name__).info('the timing cache was not kept: %s', err)

    def _refusal(self, parser: Any) -> str:
        """What the parser says, with the names of nodes."""
        names = [(n.name, n.op_type) for n in _nodes(self._onnx.content)]
        parts = []
        for k in range(min(parser.num_errors, _KEPT_ERRORS)):
            error = parser.get_error(k)
            index = int(error.node())
            name, kind = names[index] if 0 <= index < len(names) else ('', '')
            where = f'node {name} ({kind}): ' if name else ''
            parts.append(f'{where}{error.desc().strip()}')
        said = '; '.join(parts) or 'it gives no reason'
        return f'{self._api.label} does not take the network: {said}{self._words()}'

    def _log(self, level: int, text: str) -> None:
        """Hand on what TensorRT says, and keep errors for the message."""
        if level >= logging.ERROR and len(self._said) < _KEPT_ERRORS:
            self._said.append(text.strip())
        # the builder's own chatter is for those who look for it
        lowered = level if level >= logging.WARNING else logging.DEBUG
        logging.getLogger(__name__).log(lowered, '%s: %s', self._api.label, text)

    def _words(self) -> str:
        """Errors that TensorRT logged, to be put behind a message."""
        return f'; it said: {" | ".join(self._said)}' if self._said else ''


def _nodes(content: bytes) -> Sequence[Any]:
    """Nodes of an ONNX file; none where it is none."""
    try:
        from monother_ros.engines.onnx_graph import need_onnx

        found: Sequence[Any] = need_onnx().load_model_from_string(content).graph.node
    except Exception:  # the parser has said more about it
        return ()
    return found


def _read(path: Path) -> bytes:
    """Content of a file; empty where there is none."""
    try:
        return path.read_bytes()
    except OSError:
        return b''
