# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Model bundles that see RGB."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch

from monother_ros.core.bundle import Bundle, find_bundle, load_bundle
from monother_ros.core.errors import BundleError, EngineError, TeacherError
from monother_ros.engines.base import EngineOptions, all_inputs
from monother_ros.engines.select import load_engine
from monother_ros.learning.teachers.base import BaseTeacher
from monother_ros.learning.teachers.picture import resize
from monother_ros.learning.teachers.results import TeacherBatch, TeacherOptions

if TYPE_CHECKING:
    from torch import Tensor


def load_rgb_bundle(source: str, options: TeacherOptions) -> BundleTeacher:
    """
    Load a model bundle of modality 'rgb'.

    :param source: folder or name of the bundle.
    :param options: precision is the bundle's own.
    :raises TeacherError: there is no such bundle, it is damaged, or it does not see RGB alone.
    """
    try:
        bundle = load_bundle(find_bundle(source))
    except BundleError as err:
        raise TeacherError(str(err)) from err
    return BundleTeacher(bundle, options)


class BundleTeacher(BaseTeacher):
    """
    A bundle in an inference engine: metric depth and, where the network says it, confidence.

    Intensities in [0, 1] are resized as the manifest says, then (v - mean) / std.

    :param bundle: of modality 'rgb' with one input of three channels.
    :param options: how it runs; a focal length given there replaces the bundle's.
    """

    uses: ClassVar[frozenset[str]] = frozenset({'focal_length'})

    def __init__(self, bundle: Bundle, options: TeacherOptions) -> None:
        """See the class."""
        name = f'{bundle.name} {bundle.revision}'
        super().__init__(name, 'metric', options)
        if bundle.modality != 'rgb' or len(bundle.inputs) != 1 or bundle.inputs[0].shape[1] != 3:
            shapes = {spec.name: spec.shape for spec in bundle.inputs}
            msg = (
                f'the bundle {name} sees {bundle.modality} through {shapes}; a teacher sees RGB '
                'through one input of three channels'
            )
            raise TeacherError(msg)
        self.bundle = bundle
        self.focal_length = options.focal_length or bundle.focal_length
        self._aligned = bundle.normalisation.resize == 'aligned'
        try:
            how = EngineOptions(device=str(self.device), threads=options.threads)
            self._engine = load_engine(bundle, options=how)
        except EngineError as err:
            raise TeacherError(str(err)) from err

    def _run(self, picture: Tensor, focal: Tensor | None) -> TeacherBatch:
        """Whole way of a batch."""
        spec, how = self.bundle.inputs[0], self.bundle.normalisation
        small = resize(picture, spec.shape[2:], 'aligned' if self._aligned else 'area')  # type: ignore[arg-type]
        prepared = ((small - how.mean) / how.std).cpu().numpy().astype(spec.dtype)
        planes: dict[str, list[Tensor]] = {'depth': [], 'confidence': []}
        for index in range(len(prepared)):
            try:
                found = self._engine.infer(all_inputs(self.bundle, prepared[index : index + 1]))
            except EngineError as err:
                raise TeacherError(str(err)) from err
            for key, values in planes.items():
                if key in found:
                    values.append(self._back(torch.from_numpy(found[key].copy()), picture))
        confidence = torch.cat(planes['confidence']) if planes['confidence'] else None
        return TeacherBatch(torch.cat(planes['depth']), confidence)

    def _back(self, plane: Tensor, picture: Tensor) -> Tensor:
        """Bring an output to the size of the picture and to its device."""
        size = (picture.shape[2], picture.shape[3])
        return resize(plane.to(self.device), size, 'aligned' if self._aligned else 'bilinear')

    def _network_width(self, height: int, width: int) -> float:
        """Width in pixels at which a picture goes through the network."""
        return self.bundle.input_size[0]
