# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
New weights for a plan that was built with refit, without building it again.

TensorRT 10 and newer take them from an ONNX file, which also knows those that were transposed or
folded when the plan was built. 8.6 takes weights by name alone; there a plan whose weights cannot
all be named is built again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monother_ros.core.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from monother_ros.engines.trt_api import TrtApi


class RefitError(EngineError):
    """A plan that does not take new weights; it may hold some of them and must not be used."""


def refit_plan(
    api: TrtApi,
    engine: Any,
    logger: Any,
    model: bytes,
    said: Callable[[], str] = str,
) -> int:
    """
    Put the weights of an ONNX file into an engine.

    The engine must have no execution context at work; after an error it must be thrown away.

    :param api: TensorRT.
    :param engine: trt.ICudaEngine of the same graph and types, with its CUDA context active.
    :param logger: of TensorRT; see :meth:`TrtApi.logger`.
    :param model: ONNX file with its weights inside.
    :param said: gives the errors that TensorRT logged, to be put behind a sentence.
    :returns: how many weights the engine lets be exchanged.
    :raises RefitError: it takes none or not all of them.
    """
    if not engine.refittable:
        msg = 'the plan was built without refit'
        raise RefitError(msg)
    if not api.can_refit:
        msg = f'{api.label} computes wrongly in plans with refit'
        raise RefitError(msg)
    refitter = api.module.Refitter(engine, logger)
    names = list(refitter.get_all_weights())
    if not names:
        msg = 'the plan has no weights that can be exchanged'
        raise RefitError(msg)
    # host memory of the weights must stay until the engine has been refitted
    keep = _by_parser(api, refitter, logger, model, said) if api.has_onnx_refitter else None
    if keep is None:
        keep = _by_name(api, refitter, model, names, said)
    missing = list(refitter.get_missing_weights())
    if missing:
        msg = f'the plan wants {len(missing)} weights more, such as {missing[0]}'
        raise RefitError(msg)
    if not refitter.refit_cuda_engine():
        msg = f'TensorRT failed to exchange weights{said()}'
        raise RefitError(msg)
    del keep
    return len(names)


def _by_parser(
    api: TrtApi, refitter: Any, logger: Any, model: bytes, said: Callable[[], str]
) -> list[Any]:
    """Let TensorRT read the ONNX file."""
    parser = api.module.OnnxParserRefitter(refitter, logger)
    if not parser.refit_from_bytes(model):
        errors = '; '.join(parser.get_error(k).desc() for k in range(parser.num_errors))
        msg = f'TensorRT takes no weights from the ONNX file: {errors}{said()}'
        raise RefitError(msg)
    return [parser, model]


def _by_name(
    api: TrtApi, refitter: Any, model: bytes, names: list[str], said: Callable[[], str]
) -> list[Any]:
    """Set every weight that the engine names, from the initialiser of that name."""
    import onnx
    from onnx import numpy_helper

    values = {
        item.name: numpy_helper.to_array(item)
        for item in onnx.load_model_from_string(model).graph.initializer
    }
    unknown = [name for name in names if name not in values]
    if unknown:
        msg = f'the plan has weights that the network has not by name, such as {unknown[0]}'
        raise RefitError(msg)
    keep = []
    for name in names:
        value = values[name].copy()
        weights = api.module.Weights(value)
        if not refitter.set_named_weights(name, weights):
            msg = f'the plan does not take {name} {list(value.shape)} {value.dtype}{said()}'
            raise RefitError(msg)
        keep += [value, weights]
    return keep
