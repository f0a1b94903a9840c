# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What surrounds the network, on the GPU: counts to network input, depth to points.

The node does not use them. On a desktop CPU both steps take half a millisecond to one, and a cloud
of 640x512 points (6.5 MB) would have to be copied back from a graphics card. On a Jetson, whose
GPU writes into the memory of the host, they may free the slower CPU: the self-test of the doctor
measures it (:func:`compare`).
"""

from __future__ import annotations

import importlib
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from monother_ros.core.errors import EngineError
from monother_ros.core.thermal import MIN_SPAN

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from monother_ros.core.bundle import Normalisation
    from monother_ros.engines.cuda import Cuda, HostBuffer

BLOCK = (32, 8, 1)
"""Threads of a block: a warp reads a row."""

ALIGNED, OUTER = 0, 1
"""How sizes are brought together: centres of the corner pixels aligned, or their outer edges."""

FIELDS = 5
"""Of a point: x y z confidence intensity; see core/cloud.py."""

SOURCE = r"""
// position of output pixel i in the input; the same as core/resize.py (aligned) and OpenCV (outer)
__device__ float place(int i, int before, int after, int outer)
{
  if (outer) {
    float at = (i + 0.5f) * ((float)before / (float)after) - 0.5f;
    return fminf(fmaxf(at, 0.0f), before - 1.0f);
  }
  return after > 1 ? (float)((double)i * (before - 1) / (after - 1)) : 0.0f;
}

__device__ float mix(const float *plane, int width, int height, float x, float y)
{
  int x0 = (int)x, y0 = (int)y;
  int x1 = x0 + 1 < width ? x0 + 1 : x0, y1 = y0 + 1 < height ? y0 + 1 : y0;
  float fx = x - x0, fy = y - y0;
  float a = plane[y0 * width + x0] + fy * (plane[y1 * width + x0] - plane[y0 * width + x0]);
  float b = plane[y0 * width + x1] + fy * (plane[y1 * width + x1] - plane[y0 * width + x1]);
  return a + fx * (b - a);
}

__device__ float scaled(const unsigned short *raw, int at, float base, float scale, float offset)
{
  return fminf(fmaxf(((float)raw[at] - base) * scale - offset, 0.0f), 1.0f);
}

// scale, clip, resize, then mean and std: as core/thermal.py
extern "C" __global__ void normalise(
  const unsigned short *raw, int width, int height, float base, float scale, float offset,
  float *out, int columns, int rows, int channels, int outer, float mean, float factor)
{
  int i = blockIdx.x * blockDim.x + threadIdx.x, j = blockIdx.y * blockDim.y + threadIdx.y;
  if (i >= columns || j >= rows) return;
  float value = 0.0f;
  if (outer && width >= columns && height >= rows) {
    // average of the area that the pixel covers
    float sx = (float)width / columns, sy = (float)height / rows;
    float left = i * sx, right = fminf(left + sx, (float)width);
    float top = j * sy, bottom = fminf(top + sy, (float)height), whole = 0.0f;
    for (int y = (int)top; y < height && y < bottom; ++y) {
      float high = fminf(y + 1.0f, bottom) - fmaxf((float)y, top);
      for (int x = (int)left; x < width && x < right; ++x) {
        float part = high * (fminf(x + 1.0f, right) - fmaxf((float)x, left));
        value += part * scaled(raw, y * width + x, base, scale, offset);
        whole += part;
      }
    }
    value /= whole;
  } else {
    float x = place(i, width, columns, outer), y = place(j, height, rows, outer);
    int x0 = (int)x, y0 = (int)y;
    int x1 = x0 + 1 < width ? x0 + 1 : x0, y1 = y0 + 1 < height ? y0 + 1 : y0;
    float fx = x - x0, fy = y - y0;
    float v00 = scaled(raw, y0 * width + x0, base, scale, offset);
    float v10 = scaled(raw, y1 * width + x0, base, scale, offset);
    float v01 = scaled(raw, y0 * width + x1, base, scale, offset);
    float v11 = scaled(raw, y1 * width + x1, base, scale, offset);
    float a = v00 + fy * (v10 - v00), b = v01 + fy * (v11 - v01);
    value = a + fx * (b - a);
  }
  value = (value - mean) * factor;
  for (int c = 0; c < channels; ++c) out[(c * rows + j) * columns + i] = value;
}

// depth and confidence of the network to organised points: as core/pipeline.py and core/cloud.py
extern "C" __global__ void deproject(
  const float *depth, const float *confidence, int columns, int rows,
  const float *ray_x, const float *ray_y, const unsigned short *raw, int width, int height,
  int outer, float scale, float nearest, float farthest, float surest, float *points)
{
  int i = blockIdx.x * blockDim.x + threadIdx.x, j = blockIdx.y * blockDim.y + threadIdx.y;
  if (i >= width || j >= height) return;
  int at = j * width + i;
  float x = place(i, columns, width, outer), y = place(j, rows, height, outer);
  float z = mix(depth, columns, rows, x, y) * scale, sure = nanf("");
  if (confidence) sure = mix(confidence, columns, rows, x, y);
  if (!(z >= nearest && z <= farthest) || (confidence && surest > 0.0f && !(sure >= surest)))
    z = nanf("");
  float *point = points + 5 * (size_t)at;
  point[0] = ray_x[at] * z;
  point[1] = ray_y[at] * z;
  // a pixel without a ray has no point
  point[2] = ray_x[at] == ray_x[at] ? z : nanf("");
  point[3] = sure;
  point[4] = (float)raw[at];
}
"""


class FrameKernels:
    """
    The kernels for one camera and one network.

    Make, use and free it while the context is active (:meth:`Cuda.active`).

    :param cuda: GPU.
    :param camera: width and height of the thermal image in pixels.
    :param network: width and height of the network in pixels.
    :param rays: x and y, (H, W) float32 each, of the point at 1 m of each pixel.
    :param how: counts become network input.
    :raises EngineError: there is no compiler (nvcc), or it does not take the kernels.
    """

    def __init__(
        self,
        cuda: Cuda,
        camera: tuple[int, int],
        network: tuple[int, int],
        rays: tuple[NDArray[np.float32], NDArray[np.float32]],
        how: Normalisation,
    ) -> None:
        """See the class."""
        try:
            compiler: Any = importlib.import_module('pycuda.compiler')
            module = compiler.SourceModule(SOURCE, no_extern_c=True)
        except Exception as err:  # nvcc is missing, or one of many errors of it
            msg = f'the kernels cannot be compiled: {err}; install the CUDA toolkit (nvcc)'
            raise EngineError(msg) from err
        self._normalise = module.get_function('normalise')
        self._deproject = module.get_function('deproject')
        self._camera, self._network, self._how = camera, network, how
        (width, height), (columns, rows) = camera, network
        self.raw: HostBuffer = cuda.buffer((height, width), np.uint16)
        self.input: HostBuffer = cuda.buffer((how.channels, rows, columns), np.float32)
        self.depth: HostBuffer = cuda.buffer((rows, columns), np.float32)
        self.confidence: HostBuffer = cuda.buffer((rows, columns), np.float32)
        self.points: HostBuffer = cuda.buffer((height, width, FIELDS), np.float32)
        self._rays = [cuda.buffer((height, width), np.float32) for _ in rays]
        self._stream = cuda.stream()
        for buffer, values in zip(self._rays, rays, strict=True):
            np.copyto(buffer.array, values)
            buffer.upload(self._stream)
        self._stream.synchronize()

    def normalise(self, raw: NDArray[Any], low: float, high: float) -> NDArray[np.float32]:
        """
        Network input of a frame.

        :param raw: (H, W) uint8 or uint16 counts.
        :param low: counts that become 0.
        :param high: counts that become 1.
        :returns: (channels, h, w); overwritten by the next call.
        """
        np.copyto(self.raw.array, raw)
        self.raw.upload(self._stream)
        args = normalise_args(self._camera, self._network, self._how, low, high)
        source, target = np.uintp(self.raw.address), np.uintp(self.input.address)
        self._launch(self._normalise, self._network, source, *args[:5], target, *args[5:])
        self.input.download(self._stream)
        self._stream.synchronize()
        return self.input.array

    def deproject(
        self,
        depth: NDArray[np.float32],
        confidence: NDArray[np.float32] | None,
        limits: tuple[float, float, float],
        scale: float = 1.0,
    ) -> NDArray[np.float32]:
        """
        Points of a frame whose counts were given to :meth:`normalise`.

        :param depth: (h, w) metres, of the network.
        :param confidence: (h, w) in [0, 1]; None for none.
        :param limits: nearest and farthest depth in metres, smallest confidence.
        :param scale: factor of depth.
        :returns: (H, W, 5) x y z confidence intensity; overwritten by the next call.
        """
        np.copyto(self.depth.array, depth)
        self.depth.upload(self._stream)
        sure = np.uintp(0)
        if confidence is not None:
            np.copyto(self.confidence.array, confidence)
            self.confidence.upload(self._stream)
            sure = np.uintp(self.confidence.address)
        x, y = (np.uintp(buffer.address) for buffer in self._rays)
        counts, target = np.uintp(self.raw.address), np.uintp(self.points.address)
        sizes = [np.int32(v) for v in (*self._network, *self._camera)]
        numbers = [np.float32(v) for v in (scale, *limits)]
        source = np.uintp(self.depth.address)
        self._launch(
            self._deproject,
            self._camera,
            *(source, sure, *sizes[:2], x, y, counts, *sizes[2:]),
            *(_outer(self._how), *numbers, target),
        )
        self.points.download(self._stream)
        self._stream.synchronize()
        return self.points.array

    def free(self) -> None:
        """Give the memory back."""
        buffers = (self.raw, self.input, self.depth, self.confidence, self.points, *self._rays)
        for buffer in buffers:
            buffer.free()
        self._stream = None

    def _launch(self, kernel: Any, size: tuple[int, int], *args: Any) -> None:
        """One thread for each pixel of an output."""
        grid = tuple(-(-n // b) for n, b in zip(size, BLOCK, strict=False))
        kernel(*args, block=BLOCK, grid=grid, stream=self._stream)


def normalise_args(
    camera: tuple[int, int], network: tuple[int, int], how: Normalisation, low: float, high: float
) -> list[Any]:
    """
    Numbers for the kernel `normalise`, without the address before all and that after the fifth.

    Whole counts are subtracted first, which float32 does exactly, as core/thermal.py does.
    """
    base = float(np.floor(low))
    scale = 1.0 / max(high - low, MIN_SPAN)
    ints = [np.int32(v) for v in (*camera, *network, how.channels)]
    floats = [np.float32(v) for v in (base, scale, (low - base) * scale)]
    last = [np.float32(v) for v in (how.mean, 1.0 / how.std)]
    return [*ints[:2], *floats, *ints[2:], _outer(how), *last]


def _outer(how: Normalisation) -> np.int32:
    """How sizes are brought together, for the kernels."""
    return np.int32(ALIGNED if how.resize == 'aligned' else OUTER)


def compare(
    on_gpu: Callable[[], object], on_cpu: Callable[[], object], runs: int = 50
) -> dict[str, float]:
    """
    Whether a step pays on the GPU.

    :param on_gpu: the step with its copies, warm.
    :param on_cpu: the same step on the CPU, warm.
    :param runs: how often each is run, in turns.
    :returns: medians 'gpu_ms' and 'cpu_ms'.
    """
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        for step, kept in zip((on_gpu, on_cpu), times, strict=True):
            start = time.perf_counter()
            step()
            kept.append(time.perf_counter() - start)
    gpu, cpu = (1e3 * float(np.median(kept)) for kept in times)
    return {'gpu_ms': gpu, 'cpu_ms': cpu}
