# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Any depth network in ONNX whose input and output have been described."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from monother_ros.core.errors import TeacherError
from monother_ros.learning.teachers.base import BaseTeacher
from monother_ros.learning.teachers.onnx_description import OnnxDescription, read_description
from monother_ros.learning.teachers.picture import normalise, resize
from monother_ros.learning.teachers.results import INVERSE_FLOOR, TeacherBatch, TeacherOptions

if TYPE_CHECKING:
    from torch import Tensor

_ERRORS_ONLY = 3
_TYPES = {'tensor(float)': torch.float32, 'tensor(float16)': torch.float16}


def load_onnx(source: str, options: TeacherOptions) -> OnnxTeacher:
    """
    Load an ONNX file with its description.

    :param source: path of the file.
    :param options: device 'cuda' needs the GPU build of ONNX Runtime; precision is the file's own.
    :raises TeacherError: there is no such file, it cannot be run, or its description is missing or
        does not fit.
    """
    path = Path(source).expanduser()
    if not path.is_file():
        msg = f'there is no ONNX file at {path}'
        raise TeacherError(msg)
    return OnnxTeacher(path, read_description(options.description, path), options)


def open_session(path: Path, device: torch.device, threads: int = 0) -> Any:
    """
    ONNX Runtime session of a file.

    :param path: of the file.
    :param device: 'cpu' or a GPU.
    :param threads: on the CPU; 0 is ONNX Runtime's own choice.
    :returns: onnxruntime.InferenceSession.
    :raises TeacherError: ONNX Runtime is missing, cannot use the device, or refuses the file.
    """
    try:
        import onnxruntime as ort
    except ImportError as err:
        msg = f'onnxruntime cannot be imported ({err}); pip install onnxruntime'
        raise TeacherError(msg) from err
    providers: list[Any] = ['CPUExecutionProvider']
    if device.type == 'cuda':
        if 'CUDAExecutionProvider' not in ort.get_available_providers():
            msg = "this onnxruntime has no CUDA; pip install onnxruntime-gpu, or use device 'cpu'"
            raise TeacherError(msg)
        providers.insert(0, ('CUDAExecutionProvider', {'device_id': device.index or 0}))
    settings = ort.SessionOptions()
    settings.log_severity_level = _ERRORS_ONLY
    settings.intra_op_num_threads = threads
    settings.add_session_config_entry('session.intra_op.allow_spinning', '0')
    try:
        return ort.InferenceSession(str(path), settings, providers=providers)
    except Exception as err:  # ONNX Runtime raises many types of its own
        msg = f'{path} cannot be loaded by onnxruntime: {err}'
        raise TeacherError(msg) from err


class OnnxTeacher(BaseTeacher):
    """
    A described ONNX network; pictures run one after the other.

    :param path: of the ONNX file.
    :param description: what input and output mean.
    :param options: how it runs.
    """

    uses: ClassVar[frozenset[str]] = frozenset({'focal_length', 'description'})

    def __init__(self, path: Path, description: OnnxDescription, options: TeacherOptions) -> None:
        """See the class."""
        super().__init__(path.stem, description.kind, options)
        self.meaning = description
        self.focal_length = options.focal_length or description.focal_length
        self._session = open_session(path, self.device, options.threads)
        inputs = {item.name: item for item in self._session.get_inputs()}
        name = description.input or (next(iter(inputs)) if len(inputs) == 1 else None)
        if name not in inputs or len(inputs) != 1:
            msg = f'{path} has the inputs {sorted(inputs)}; a teacher has one, the picture'
            raise TeacherError(msg)
        self._input = inputs[name]
        if self._input.type not in _TYPES or len(self._input.shape) != 4:
            msg = (
                f'{path} takes {self._input.type} {self._input.shape}; four float axes are needed'
            )
            raise TeacherError(msg)
        self.size = self._static_size(path)
        outputs = [item.name for item in self._session.get_outputs()]
        self._wanted = [description.output or outputs[0]]
        if description.confidence is not None:
            self._wanted.append(description.confidence)
        unknown = [name for name in self._wanted if name not in outputs]
        if unknown:
            msg = f'{path} has no output {unknown[0]!r}; it has {", ".join(outputs)}'
            raise TeacherError(msg)

    def prepare(self, picture: Tensor) -> Tensor:
        """
        Network input of a batch, axes still (B, 3, h, w).

        :param picture: (B, 3, H, W) float in [0, 1], red first.
        """
        what = self.meaning
        picture = resize(picture, self.size, what.resize)
        if what.colour == 'bgr':
            picture = picture.flip(1)
        return normalise(picture * what.white, what.mean, what.std)

    def finish(self, output: Tensor, size: tuple[int, int]) -> Tensor:
        """
        Depth at the size of the picture.

        :param output: (B, 1, h, w), what the network says.
        :param size: (H, W) of the picture.
        :returns: (B, 1, H, W) depth of the described kind; an inverse depth that is not positive
            is unknown (0) if the kind is 'metric' or 'scale', and far away if only its scale and
            shift are meant.
        """
        plane = self._back(output * self.meaning.factor, size)
        if self.meaning.meaning == 'depth':
            return plane
        inverse = plane.clamp(min=INVERSE_FLOOR)
        if self.kind == 'affine-inverse':
            return 1.0 / inverse
        return torch.where(plane > 0, 1.0 / inverse, torch.zeros_like(plane))

    def _run(self, picture: Tensor, focal: Tensor | None) -> TeacherBatch:
        """Whole way of a batch."""
        height, width = picture.shape[2:]
        planes = [self._infer(part) for part in self.prepare(picture).split(1)]
        depth = self.finish(torch.cat([found[0] for found in planes]), (height, width))
        if len(self._wanted) == 1:
            return TeacherBatch(depth)
        confidence = self._back(torch.cat([found[1] for found in planes]), (height, width))
        return TeacherBatch(depth, confidence.clamp(0.0, 1.0))

    def _infer(self, prepared: Tensor) -> list[Tensor]:
        """Run one picture; (1, 1, h, w) of each wanted output."""
        if self.meaning.layout == 'nhwc':
            prepared = prepared.permute(0, 2, 3, 1)
        value = prepared.to(_TYPES[self._input.type]).contiguous().cpu().numpy()
        try:
            found = self._session.run(self._wanted, {self._input.name: value})
        except Exception as err:  # ONNX Runtime raises many types of its own
            msg = f'onnxruntime failed to run {self.name}: {err}'
            raise TeacherError(msg) from err
        planes = []
        for name, array in zip(self._wanted, found, strict=True):
            plane = np.asarray(array, np.float32)
            sides = [side for side in plane.shape if side != 1]
            if len(sides) != 2:
                msg = f'{self.name} gives {name} as {plane.shape}; one plane (h, w) is needed'
                raise TeacherError(msg)
            planes.append(torch.from_numpy(plane.reshape(1, 1, *sides)).to(self.device))
        return planes

    def _back(self, plane: Tensor, size: tuple[int, int]) -> Tensor:
        """Bring an output to the size of the picture."""
        return resize(plane, size, 'aligned' if self.meaning.resize == 'aligned' else 'bilinear')

    def _network_width(self, height: int, width: int) -> float:
        """Width in pixels at which a picture goes through the network."""
        return self.size[1]

    def _static_size(self, path: Path) -> tuple[int, int]:
        """Height and width of the input, from the graph or from the description."""
        axes = (2, 3) if self.meaning.layout == 'nchw' else (1, 2)
        found = tuple(self._input.shape[axis] for axis in axes)
        channels = self._input.shape[1 if self.meaning.layout == 'nchw' else 3]
        if isinstance(channels, int) and channels != 3:
            msg = (
                f'{path} takes {self._input.shape}, which is not {self.meaning.layout} with three '
                "channels; see 'layout' in its description"
            )
            raise TeacherError(msg)
        size = self.meaning.size or found
        if not all(isinstance(side, int) for side in size):
            msg = f"{path} leaves the size of its input open; say 'size' in its description"
            raise TeacherError(msg)
        clash = any(isinstance(a, int) and a != b for a, b in zip(found, size, strict=True))
        if clash:
            msg = f'{path} takes {found[1]}x{found[0]}, its description says {size[1]}x{size[0]}'
            raise TeacherError(msg)
        return int(size[0]), int(size[1])
