# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one way of a frame, for the node, the evaluation and the benchmarks alike."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray

from monother_ros.core.bundle import Bundle
from monother_ros.core.camera import Intrinsics
from monother_ros.core.cloud import FIELDS, CloudBuilder, ColorSampler
from monother_ros.core.colorize import colorize
from monother_ros.core.errors import BundleError, CalibrationError, EngineError, ThermalError
from monother_ros.core.frames import (
    FrameResult,
    PipelineSettings,
    PreparedFrame,
    RgbFrame,
    ThermalFrame,
    Wanted,
)
from monother_ros.core.resize import AlignedResizer
from monother_ros.core.scale import aligned_intrinsics, fit_intrinsics, focal_scale
from monother_ros.core.scale_stage import ScaleStage
from monother_ros.core.shutter import ShutterDetector, ShutterState
from monother_ros.core.thermal import Normaliser

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    'Allocate',
    'FrameResult',
    'InferenceEngine',
    'Pipeline',
    'PipelineSettings',
    'PreparedFrame',
    'RgbFrame',
    'ThermalFrame',
    'Wanted',
]


SPARSE_INPUT = 'sparse_depth'
"""Name of a second input: (1, 1, h, w) metres along the optical axis, 0 where there is none."""


class InferenceEngine(Protocol):
    """What the pipeline needs of an engine; monother_ros.engines.base.Engine is one."""

    bundle: Bundle

    def infer(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the network once."""
        ...


class Allocate(Protocol):
    """Gives the memory of an output, e.g. that of a ROS message; it is overwritten entirely."""

    def __call__(self, kind: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Memory for 'depth', 'confidence', 'cloud' or 'color'."""
        ...


def new_memory(kind: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Fresh memory for every output, so that results may be kept."""
    return np.empty(shape, dtype)


class Pipeline:
    """
    Raw thermal picture to depth, confidence, cloud and colours.

    One instance serves one camera. Frames are processed one at a time; settings and engine may be
    changed from other threads and take effect with the next frame.

    :param engine: of a bundle whose first input takes the thermal picture.
    :param settings: limits and size.
    :param clock: seconds of a steady clock, for the timings.
    :raises BundleError: the bundle does not take a thermal picture alone.
    """

    def __init__(
        self,
        engine: InferenceEngine,
        settings: PipelineSettings | None = None,
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """See the class."""
        self.settings = settings or PipelineSettings()
        self._clock = clock
        self._lock = threading.Lock()
        self._shutter = ShutterDetector()
        self._scratch: dict[str, NDArray[Any]] = {}
        self._cloud: CloudBuilder | None = None
        self._sampler: ColorSampler | None = None
        self._fitted: tuple[Any, Intrinsics | None, str | None] | None = None
        self._spare: InferenceEngine | None = None
        self._scale = ScaleStage(self.settings.scale)
        self._use(engine)

    @property
    def engine(self) -> InferenceEngine:
        """Engine that runs the next frame."""
        return self._engine

    def swap_engine(
        self, engine: InferenceEngine, *, trial: bool = False
    ) -> InferenceEngine | None:
        """
        Run another engine from the next frame on; waits for a frame in progress.

        :param trial: keep the engine used so far until :meth:`settle`. Where the new one fails
            before that, the old one makes that very frame and all that follow. Of two engines on
            trial in a row, what is kept is the engine before the first.
        :returns: an engine that the pipeline has let go, for the caller to close: the one used so
            far, with `trial` None, or an engine on trial that this one takes the place of.
        :raises BundleError: see the class, or on trial an engine whose input is made in another
            way; the old engine stays.
        """
        with self._lock:
            old = self._engine
            if not trial:
                self._use(engine)
                return old
            new, was = engine.bundle, old.bundle
            if (new.inputs, new.normalisation) != (was.inputs, was.normalisation):
                msg = (
                    f'{new.name} {new.revision} takes other inputs than {was.name} {was.revision}'
                )
                raise BundleError(msg)
            self._use(engine)
            if self._spare is None:
                self._spare = old
                return None
            return old

    def settle(self) -> InferenceEngine | None:
        """
        End the trial of an engine, after a frame.

        :returns: the engine that is not used any more, for the caller to close; None where no
            engine was on trial, or where it has failed (:attr:`FrameResult.engine_error`).
        """
        with self._lock:
            spare, self._spare = self._spare, None
            return spare

    def reset(self, *, keep_scale: bool = False) -> None:
        """
        Forget earlier frames: time has jumped, or it is another camera.

        :param keep_scale: after a mere silence: what is known about the scale ages by itself.
        """
        with self._lock:
            self._shutter.reset()
            self._normaliser.reset()
            if not keep_scale:
                self._scale.reset()

    def prepare(
        self, frame: ThermalFrame, *, reset: bool = False, keep_scale: bool = False
    ) -> PreparedFrame:
        """
        Do what comes before the engine, for :meth:`process`, while it runs an earlier frame.

        For offline work: every frame is prepared, in order, by one thread, and processed in the
        same order by another one; the engine is not swapped meanwhile.

        :param frame: the thermal picture.
        :param reset: forget earlier frames first, as :meth:`reset` does.
        :param keep_scale: see there.
        """
        if reset:
            self._shutter.reset()
            self._normaliser.reset()
        forget = reset and not keep_scale
        try:
            prepared = self._prepare(frame, np.empty_like(self._input))
        except ThermalError as err:
            return PreparedFrame(frame, FrameResult(), error=err, forget_scale=forget)
        return replace(prepared, forget_scale=forget)

    def process(
        self,
        frame: ThermalFrame | PreparedFrame,
        wanted: Wanted | None = None,
        rgb: RgbFrame | Callable[[], RgbFrame | None] | None = None,
        allocate: Allocate | None = None,
    ) -> FrameResult:
        """
        Run one frame.

        :param frame: the thermal picture, or what :meth:`prepare` made of it.
        :param wanted: outputs; by default depth and confidence.
        :param rgb: colour picture of about the same time, for the cloud; or what is asked for it
            once depth is known, so that a picture counts which arrives while the engine works.
        :param allocate: where outputs go; by default new memory.
        :returns: the outputs, or why there are none.
        :raises ThermalError: the picture cannot be taken.
        :raises EngineError: the engine failed.
        """
        with self._lock:
            return self._process(frame, wanted or Wanted(), rgb, allocate or new_memory)

    def _use(self, engine: InferenceEngine) -> None:
        """Take over an engine and what follows from its bundle."""
        bundle = engine.bundle
        names = [spec.name for spec in bundle.inputs]
        if bundle.modality != 'thermal' or names[1:] not in ([], [SPARSE_INPUT]):
            msg = (
                f'the model {bundle.name} takes {bundle.modality} through {names}; the depth '
                f'pipeline takes models of one thermal input, and of {SPARSE_INPUT} beside it'
            )
            raise BundleError(msg)
        spec, *others = bundle.inputs
        for other in others:
            if other.shape != (1, 1, *spec.shape[2:]):
                msg = (
                    f'the model {bundle.name} takes {other.name} as {other.shape}; it must be one '
                    f'channel of the size of {spec.name}, {spec.shape}'
                )
                raise BundleError(msg)
        known: Normaliser | None = getattr(self, '_normaliser', None)
        wanted = (bundle.normalisation, bundle.input_size)
        if known is None or (known.spec, known.size) != wanted:
            self._normaliser = Normaliser(bundle.normalisation, bundle.input_size)
        self._aligned = AlignedResizer() if bundle.normalisation.resize == 'aligned' else None
        self._input = np.empty(spec.shape, np.float32)
        self._engine = engine

    def _prepare(
        self, frame: ThermalFrame, tensor: NDArray[np.float32], *, needed: bool = True
    ) -> PreparedFrame:
        """Look for the shutter, and normalise into the memory of the tensor."""
        clock, result = self._clock, FrameResult()
        start = clock()
        result.shutter = self._shutter.update(frame.image, frame.stamp_ns)
        result.timings['shutter'] = clock() - start
        closed = result.shutter is not ShutterState.OPEN
        if closed and not self.settings.process_shutter_frames:
            result.skipped = f'shutter: {result.shutter.value}'
        elif not needed:
            result.skipped = 'nothing is wanted'
        if result.skipped is not None:
            return PreparedFrame(frame, result)
        start = clock()
        self._normaliser(frame.image, frame.stamp_ns, tensor[0])
        result.timings['normalise'] = clock() - start
        return PreparedFrame(frame, result, tensor)

    def _process(
        self,
        given: ThermalFrame | PreparedFrame,
        wanted: Wanted,
        rgb: RgbFrame | Callable[[], RgbFrame | None] | None,
        allocate: Allocate,
    ) -> FrameResult:
        """Run one frame under the lock."""
        settings, engine, clock = self.settings, self._engine, self._clock
        if isinstance(given, ThermalFrame):
            given = self._prepare(given, self._input, needed=wanted.anything)
        elif given.forget_scale:
            self._scale.reset()
        if given.error is not None:
            raise given.error
        frame, result, tensor = given.frame, given.result, given.tensor
        result.revision, spent = engine.bundle.revision, result.timings
        if tensor is None:
            return result
        spec = engine.bundle.inputs[0]
        inputs = {spec.name: tensor.astype(spec.dtype, copy=False)}

        height, width = frame.image.shape
        camera, result.calibration_error = self._camera(frame.intrinsics, width, height)
        start = clock()
        self._scale.arbiter.settings = settings.scale
        network_camera = self._resized(camera, engine.bundle.input_size)
        others = engine.bundle.inputs[1:]
        sparse = self._scale.sparse(
            frame,
            network_camera,
            engine.bundle.input_size,
            network=bool(others),
            clutter=settings.clutter_filter,
        )
        result.points, result.echoes = self._scale.counted
        if sparse is not None:
            spent['points'] = clock() - start
        for other in others:
            plane = self._network_metres(sparse, engine.bundle, camera)
            inputs[other.name] = plane[None, None].astype(other.dtype, copy=False)

        start = clock()
        outputs, engine = self._infer(inputs, result)
        spent['engine'] = clock() - start

        if wanted.depth or wanted.cloud or wanted.color:
            start = clock()
            result.metric = self._scale.update(
                frame, engine.bundle, camera, network_camera, outputs['depth'][0, 0], sparse
            )
            result.scale, result.scale_shift = result.metric.factor, result.metric.shift
            spent['scale'] = clock() - start
        if settings.output_size == 'network':
            width, height = engine.bundle.input_size
        size = (width, height)
        result.intrinsics = self._resized(camera, size)
        self._planes(outputs, size, wanted, allocate, result)
        if wanted.cloud and result.intrinsics is not None:
            start = clock()
            self._build_cloud(frame, rgb() if callable(rgb) else rgb, allocate, result)
            spent['cloud'] = clock() - start
        if wanted.color:
            start = clock()
            result.color = colorize(
                self._depth,
                settings.range_min,
                settings.range_max,
                allocate('color', (height, width, 3), np.uint8),
            )
            spent['color'] = clock() - start
        return result

    def _network_metres(
        self, sparse: NDArray[np.float32] | None, bundle: Bundle, camera: Intrinsics | None
    ) -> NDArray[np.float32]:
        """Sparse depth as the network takes it: metres at the focal length it was trained at."""
        width, height = bundle.input_size
        if sparse is None:
            return self._memory('no points', (height, width), np.float32, 0.0)
        plane = self._memory('points', (height, width), np.float32)
        factor = focal_scale(bundle.focal_length, camera, width)
        np.multiply(sparse, np.float32(1 / factor), out=plane)
        return plane

    def _infer(
        self, inputs: dict[str, NDArray[Any]], result: FrameResult
    ) -> tuple[dict[str, NDArray[Any]], InferenceEngine]:
        """
        Run the engine; where one on trial fails, the one before it takes over for good.

        :returns: the outputs, and the engine that made them.
        """
        engine = self._engine
        try:
            outputs = engine.infer(inputs)
        except EngineError as err:
            if self._spare is None:
                raise
            result.engine_error = str(err)
            engine, self._spare = self._spare, None
            self._use(engine)
            outputs = engine.infer(inputs)
        result.revision = engine.bundle.revision
        return outputs, engine

    def _planes(
        self,
        outputs: dict[str, NDArray[Any]],
        size: tuple[int, int],
        wanted: Wanted,
        allocate: Allocate,
        result: FrameResult,
    ) -> None:
        """Bring depth and confidence to the output size and apply the limits."""
        settings, clock = self.settings, self._clock
        shape = (size[1], size[0])
        start = clock()
        need_depth = wanted.depth or wanted.cloud or wanted.color
        confidence: NDArray[np.float32] | None = None
        if 'confidence' in outputs and (
            wanted.confidence or wanted.cloud or (need_depth and settings.confidence_min > 0)
        ):
            target = (
                allocate('confidence', shape, np.float32)
                if wanted.confidence
                else self._memory('confidence', shape, np.float32)
            )
            confidence = self._resize(outputs['confidence'][0, 0], target)
        if wanted.confidence:
            result.confidence = confidence
        self._confidence = confidence
        if need_depth:
            target = (
                allocate('depth', shape, np.float32)
                if wanted.depth
                else self._memory('depth', shape, np.float32)
            )
            self._depth = self._resize(outputs['depth'][0, 0], target)
        result.timings['resize'] = clock() - start
        if not need_depth:
            return
        start = clock()
        if result.scale != 1.0:
            np.multiply(self._depth, np.float32(result.scale), out=self._depth)
        if result.scale_shift:
            self._shift(result.scale_shift)
        known = cv2.inRange(self._depth, settings.range_min, settings.range_max)
        if confidence is not None and settings.confidence_min > 0:
            sure = cv2.inRange(confidence, settings.confidence_min, np.inf)
            cv2.bitwise_and(known, sure, dst=known)
        unknown = cv2.bitwise_not(known, dst=known)
        cv2.copyTo(self._memory('nan', shape, np.float32, np.nan), unknown, self._depth)
        result.timings['limits'] = clock() - start
        if wanted.depth:
            result.depth = self._depth

    def _shift(self, shift: float) -> None:
        """Apply a shift of inverse depth, 1/m: 1 / D' = 1 / D + shift; beyond infinity is < 0."""
        divisor = self._memory('shift', self._depth.shape, np.float32)
        np.multiply(self._depth, np.float32(shift), out=divisor)
        np.add(divisor, np.float32(1), out=divisor)
        with np.errstate(divide='ignore'):
            np.divide(self._depth, divisor, out=self._depth)

    def _build_cloud(
        self, frame: ThermalFrame, rgb: RgbFrame | None, allocate: Allocate, result: FrameResult
    ) -> None:
        """Fill the point cloud from the planes of this frame."""
        camera = result.intrinsics
        assert camera is not None  # the caller has looked
        if self._cloud is None or self._cloud.intrinsics != camera:
            self._cloud = CloudBuilder(camera)
        size = (camera.width, camera.height)
        intensity = frame.image
        if intensity.shape != (camera.height, camera.width):
            intensity = self._shrink(intensity, size)
        colors = None
        if rgb is not None and rgb.intrinsics is not None and rgb.extrinsics is not None:
            key = (camera, rgb.intrinsics, rgb.extrinsics.tobytes())
            if self._sampler is None or self._sampler.key != key:
                self._sampler = ColorSampler(camera, rgb.intrinsics, rgb.extrinsics)
            colors = self._sampler.sample(self._depth, rgb.image)
        shape = (camera.height, camera.width, FIELDS + (colors is not None))
        out = allocate('cloud', shape, np.float32)
        result.cloud = self._cloud.build(self._depth, self._confidence, intensity, colors, out)

    def _resized(self, camera: Intrinsics | None, size: tuple[int, int]) -> Intrinsics | None:
        """Camera of the picture at another size, resized as the bundle says."""
        if camera is None or size == (camera.width, camera.height):
            return camera
        scaled = camera.scaled if self._aligned is None else partial(aligned_intrinsics, camera)
        return scaled(*size)

    def _camera(
        self, intrinsics: Intrinsics | None, width: int, height: int
    ) -> tuple[Intrinsics | None, str | None]:
        """Intrinsics for the image, or why there are none; worked out once per calibration."""
        if intrinsics is None:
            return None, None
        key = (intrinsics, width, height)
        if self._fitted is None or self._fitted[0] != key:
            try:
                self._fitted = (key, fit_intrinsics(intrinsics, width, height), None)
            except CalibrationError as err:
                self._fitted = (key, None, str(err))
        return self._fitted[1:]

    def _memory(
        self, name: str, shape: tuple[int, ...], dtype: DTypeLike, fill: float | None = None
    ) -> NDArray[Any]:
        """Scratch memory of the pipeline, made anew when the size changes."""
        memory = self._scratch.get(name)
        if memory is None or memory.shape != shape:
            memory = np.empty(shape, dtype) if fill is None else np.full(shape, fill, dtype)
            self._scratch[name] = memory
        return memory

    def _resize(self, plane: NDArray[np.float32], out: NDArray[np.float32]) -> NDArray[np.float32]:
        """Resize a plane of the network into given memory, bilinear as the bundle says."""
        if plane.shape == out.shape:
            np.copyto(out, plane)
        elif self._aligned is not None:
            self._aligned(plane, out)
        else:
            size = out.shape[::-1]
            resized = cv2.resize(plane, size, dst=out, interpolation=cv2.INTER_LINEAR)
            if not np.shares_memory(resized, out):
                np.copyto(out, resized)
        return out

    def _shrink(self, image: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
        """Thermal picture at the size of the network, for the intensity of the cloud."""
        if self._aligned is None:
            return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        out = self._memory('intensity', size[::-1], np.float32)
        return self._aligned(image.astype(np.float32), out)
