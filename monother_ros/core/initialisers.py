# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Weights of a bundle that lie beside its graph, and those that replace some of them.

The floating point tensors of ``model.onnx`` lie in ``model.data`` (ONNX external data). That file
is a safetensors file as well, so that names, shapes and values can be read without the package
onnx. ``initialisers.safetensors`` holds the tensors that a revision changes, under their names.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monother_ros.core.errors import BundleError
from monother_ros.core.tensor_file import TensorEntry, read_entries, read_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from monother_ros.core.bundle import Bundle

DATA = 'model.data'
INITIALISERS = 'initialisers.safetensors'


@dataclass(frozen=True)
class External:
    """
    Files of a bundle whose weights lie beside the graph.

    :param data: file with every weight of the graph.
    :param replaced: file with the weights that take the place of some of them; None for none.
    """

    data: str = DATA
    replaced: str | None = None


def check_external(folder: Path, external: External) -> None:
    """
    Compare the weights that replace others with the weights of the graph.

    :param folder: of the bundle.
    :param external: its files.
    :raises BundleError: a file is damaged, or a weight has no counterpart of its shape and type.
    """
    known = read_entries(folder / external.data)
    if external.replaced is not None:
        compare_entries(read_entries(folder / external.replaced), known, external.replaced)


def compare_entries(
    given: Mapping[str, TensorEntry], known: Mapping[str, TensorEntry], where: str
) -> None:
    """
    Refuse weights that the graph does not have, or has in another shape or type.

    :param given: weights that shall replace others.
    :param known: weights of the graph.
    :param where: what holds the given ones, for the message.
    :raises BundleError: with the first few of them.
    """
    unknown = sorted(given.keys() - known.keys())
    if unknown:
        msg = (
            f'{where} replaces {_listed(unknown)}, which the network does not have; it belongs to '
            'another network'
        )
        raise BundleError(msg)
    wrong = [
        f'{name} ({item}, in the network {known[name]})'
        for name, item in given.items()
        if (item.shape, item.dtype) != (known[name].shape, known[name].dtype)
    ]
    if wrong:
        msg = f'{where} has another shape or type for {_listed(wrong)}'
        raise BundleError(msg)


def replaced_values(bundle: Bundle) -> dict[str, NDArray[Any]]:
    """
    Weights that replace those of the graph.

    :param bundle: any; one without weights beside its graph has none.
    :returns: by name of the ONNX initialiser; they cannot be written to.
    :raises BundleError: see :func:`check_external`.
    """
    external = bundle.external
    if external is None or external.replaced is None:
        return {}
    check_external(bundle.path, external)
    return read_tensors(bundle.path / external.replaced)


def current_values(bundle: Bundle) -> dict[str, NDArray[Any]]:
    """
    Every weight of a bundle whose weights lie beside its graph, as the engine uses it.

    :param bundle: with :attr:`Bundle.external`.
    :returns: by name of the ONNX initialiser.
    :raises BundleError: its weights lie inside of the graph, or a file is damaged.
    """
    if bundle.external is None:
        msg = (
            f'the weights of {bundle.name} {bundle.revision} lie inside of its graph; see '
            'networks/external_data.py'
        )
        raise BundleError(msg)
    return {**read_tensors(bundle.path / bundle.external.data), **replaced_values(bundle)}


def _listed(names: list[str], most: int = 3) -> str:
    """The first few of some names."""
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more
