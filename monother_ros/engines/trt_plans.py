# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plans for the GPU of this machine: taken from the cache, built, or made of one that is there."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monother_ros.core.errors import EngineError
from monother_ros.engines.onnx_graph import need_onnx
from monother_ros.engines.onnx_precision import TypedOnnx, typed_onnx
from monother_ros.engines.trt_build import BuildSettings, build_plan
from monother_ros.engines.trt_cache import CacheEntry, EngineCache
from monother_ros.engines.trt_key import CacheKey, Gpu, make_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monother_ros.core.bundle import Bundle
    from monother_ros.engines.base import EngineOptions
    from monother_ros.engines.cuda import Cuda
    from monother_ros.engines.trt_api import TrtApi

L4T = Path('/etc/nv_tegra_release')
"""Says the release of a Jetson's Linux."""

GRAPH = 'graph'
"""Among the notes of an entry: :func:`graph_digest` of what was built."""


@dataclass(frozen=True, eq=False)
class Plan:
    """
    A plan for this machine.

    :param key: what it is found by.
    :param content: of the plan.
    :param precision: that it was built with.
    :param graph: see :func:`graph_digest`.
    :param entry: in the cache; None where it could not be kept.
    """

    key: CacheKey
    content: bytes
    precision: str
    graph: str
    entry: CacheEntry | None


class Plans:
    """
    Where the plans of an engine come from.

    :param api: TensorRT.
    :param cuda: GPU that they are for.
    :param options: of the engine.
    """

    def __init__(self, api: TrtApi, cuda: Cuda, options: EngineOptions) -> None:
        """See the class."""
        self.cache = EngineCache(options.plan.cache)
        self._api, self._cuda, self._options = api, cuda, options
        self._gpu = gpu_of(cuda)

    def settings(self, precision: str) -> BuildSettings:
        """
        How a plan is built.

        :param precision: see :data:`monother_ros.engines.onnx_precision.PRECISIONS`.
        """
        wanted = self._options.plan
        settings = BuildSettings(
            precision,
            refit=wanted.refit and self._api.can_refit,
            version_compatible=wanted.version_compatible,
            hardware_compatible=wanted.hardware_compatible,
        )
        if wanted.workspace:
            settings = replace(settings, workspace=wanted.workspace << 20)
        return settings if wanted.level is None else replace(settings, level=wanted.level)

    def key(self, bundle: Bundle, precision: str) -> CacheKey:
        """What a plan of a bundle is found by."""
        return make_key(bundle, self._api, self._gpu, self.settings(precision))

    def kernels(self, plan: Plan) -> Path:
        """File for what TensorRT for RTX compiles when a plan runs."""
        return self.cache.folder / 'kernels' / f'{plan.key.digest[:32]}.bin'

    def find(self, bundle: Bundle, precision: str) -> Plan | None:
        """A plan that is in the cache; None where there is none that is whole."""
        return self._load(self.key(bundle, precision), precision)

    def donor(self, bundle: Bundle, ladder: Sequence[str]) -> tuple[Plan, bytes] | None:
        """
        A plan in the cache of other weights of the same graph, which takes new ones.

        :param bundle: whose weights shall go into it.
        :param ladder: precisions that it may have; those before its own must have been refused.
        :returns: an accepted one, the one used last, and the ONNX file of the bundle in its
            precision; None where there is none.
        """
        entries = self.cache.entries() if self.settings(ladder[0]).refit else []
        for k, precision in enumerate(ladder):
            wanted = self.key(bundle, precision)
            fitting = [
                entry for entry in entries if _other_weights(entry, wanted, ladder[: k + 1])
            ]
            if not fitting:
                continue
            model = typed_onnx(bundle, precision).content
            graph = graph_digest(model)
            for entry in fitting:
                if entry.notes.get(GRAPH) == graph:
                    found = self._load(replace(wanted, bundle=entry.key['bundle']), precision)
                    if found is not None:
                        return found, model
        return None

    def content(self, plan: Plan) -> bytes:
        """
        The bytes of a plan.

        :param plan: whose content may have been let go.
        :raises EngineError: it is not in the cache any more.
        """
        if plan.content:
            return plan.content
        found = self.cache.load(plan.key)
        if found is None:
            msg = 'the plan has gone from the cache'
            raise EngineError(msg)
        return found[1]

    def obtain(self, bundle: Bundle, precision: str) -> Plan:
        """
        A plan from the cache, or built; that may take minutes.

        :param bundle: what to build.
        :param precision: how.
        :raises monother_ros.engines.trt_build.BuildCancelled: it was stopped.
        :raises EngineError: it cannot be built.
        """
        key, say = self.key(bundle, precision), self._options.say
        found = self._load(key, precision)
        if found is not None:
            return found
        model = typed_onnx(bundle, precision)
        graph = graph_digest(model.content)
        built: list[bytes] = []

        def build() -> bytes:
            say(f'building the {precision} plan of {bundle.name} for {self._cuda.description}')
            built.append(self._build(model, bundle, precision))
            return built[-1]

        notes: dict[str, Any] = {
            'name': bundle.name,
            'revision': bundle.revision,
            GRAPH: graph,
        }
        try:
            entry, content, hit = self.cache.obtain(key, build, notes, self._options.cancelled)
        except EngineError as err:
            if not built:
                raise
            say(f'{err}; it will be built again at the next start')
            return Plan(key, built[-1], precision, graph, None)
        if not hit:
            say(
                f'built the {precision} plan of {bundle.name} in '
                f'{entry.notes.get("build_seconds")} s, {len(content) / 1e6:.1f} MB'
            )
        return Plan(key, content, precision, graph, entry)

    def judged(self, plan: Plan, record: dict[str, Any]) -> None:
        """
        Keep what the acceptance test said about a plan.

        :param plan: that was tried.
        :param record: as JSON knows it.
        """
        if plan.entry is None:
            return
        try:
            self.cache.accept(plan.entry, record)
        except EngineError as err:
            self._options.say(f'{err}; the plan will be tried out again at the next start')

    def _load(self, key: CacheKey, precision: str) -> Plan | None:
        found = self.cache.load(key)
        if found is None:
            return None
        entry, content = found
        return Plan(key, content, precision, str(entry.notes.get(GRAPH, '')), entry)

    def _build(self, model: TypedOnnx, bundle: Bundle, precision: str) -> bytes:
        def progress(stage: str, share: float) -> None:
            self._options.say(
                f'building the {precision} plan of {bundle.name}: {stage}, {share:.0%}'
            )

        return build_plan(
            self._api,
            model,
            self.settings(precision),
            self.cache.timing_path(self._api, self._gpu),
            progress,
            self._options.cancelled,
            lambda: self._cuda.active('build a plan'),
        )


def verdict_of(entry: CacheEntry) -> dict[str, Any] | None:
    """
    The last word of the acceptance test on the plan of an entry.

    :param entry: of the cache.
    :returns: with 'accepted' and the numbers; None where it was never tried out.
    """
    verdicts = (entry.acceptance or {}).get('verdicts') or [None]
    verdict = verdicts[-1]
    return verdict if isinstance(verdict, dict) and 'accepted' in verdict else None


def _other_weights(entry: CacheEntry, wanted: CacheKey, ladder: Sequence[str]) -> bool:
    """Whether an entry is accepted, after these precisions, and differs in its weights alone."""
    verdicts = (entry.acceptance or {}).get('verdicts') or []
    return (
        entry.key == replace(wanted, bundle=str(entry.key.get('bundle'))).as_dict()
        and [verdict.get('precision') for verdict in verdicts] == list(ladder)
        and bool(verdicts[-1].get('accepted'))
    )


def graph_digest(model: bytes) -> str:
    """
    Hash of a network without the values of its floating point weights.

    Two revisions of one model have the same graph unless a weight of one of them exceeds the
    range of half precision, so that its layer is computed in another type.

    :param model: ONNX file.
    :returns: 64 hexadecimal digits.
    """
    onnx = need_onnx()
    from onnx import numpy_helper

    proto = onnx.load_model_from_string(model)
    graph, digest = proto.graph, hashlib.sha256()
    for item in sorted(graph.initializer, key=lambda item: str(item.name)):
        digest.update(f'{item.name} {list(item.dims)} {item.data_type}\n'.encode())
        if item.data_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16):
            digest.update(numpy_helper.to_array(item).tobytes())
    for part in (*graph.node, *graph.input, *graph.output, *proto.opset_import):
        digest.update(part.SerializeToString(deterministic=True))
    return digest.hexdigest()


def gpu_of(cuda: Cuda) -> Gpu:
    """
    The GPU as the cache knows it.

    :param cuda: opened.
    """
    major, minor = cuda.capability
    return Gpu(cuda.name, f'{major}.{minor}', cuda.driver_version, l4t_release())


def l4t_release(path: Path = L4T) -> str:
    """
    Release of a Jetson's Linux, such as '36.4.3'.

    :param path: where it is written.
    :returns: empty on any other machine.
    """
    try:
        text = path.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError):
        return ''
    found = re.search(r'R(\d+).*?REVISION:\s*([\d.]+)', text)
    return f'{found[1]}.{found[2]}' if found else ''
