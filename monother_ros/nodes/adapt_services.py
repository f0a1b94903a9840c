# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Services of the adapt node: asked in the executor's thread, done in the worker's."""

from __future__ import annotations

from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import TYPE_CHECKING, Any

from rclpy.parameter import Parameter
from std_srvs.srv import SetBool, Trigger

if TYPE_CHECKING:
    from monother_ros.learning.adaptation import Adaptation
    from monother_ros.nodes.adapt_node import AdaptNode

PATIENCE = 3.0
"""Seconds for which a service waits for its work; after that it answers that it is going on."""


class AdaptServices:
    """
    ~/enable (std_srvs/SetBool) and ~/save, ~/rollback, ~/reset (std_srvs/Trigger).

    :param node: adapt node; its worker may be missing.
    """

    def __init__(self, node: AdaptNode) -> None:
        self._node = node
        node.create_service(SetBool, '~/enable', self._enable)
        for name, work in (('save', save), ('rollback', rollback), ('reset', reset)):
            node.create_service(Trigger, f'~/{name}', self._trigger(work))

    def _enable(self, request: Any, response: Any) -> Any:
        """Set the parameter of the same meaning, so that both always agree."""
        result = self._node.set_parameters([Parameter('enabled', value=bool(request.data))])[0]
        worker = self._node.worker
        if not result.successful or worker is None:
            response.success = bool(result.successful)
            response.message = result.reason or 'kept for when the node is configured'
            return response
        return self._answer(worker.enable(bool(request.data)), response)

    def _trigger(self, work: Any) -> Any:
        def handle(_request: Any, response: Any) -> Any:
            worker = self._node.worker
            if worker is None:
                response.success = False
                response.message = f'the node is {self._node.stage}; configure it first'
                return response
            return self._answer(worker.submit(work), response)

        return handle

    def _answer(self, future: Future[str], response: Any) -> Any:
        """Wait for a while; an error of the work is the answer."""
        try:
            response.message = future.result(PATIENCE)
            response.success = True
        except FutureTimeout:
            # not cancelled: it waits for a step or for the guard, and is done after it
            response.success = True
            response.message = (
                'asked for and still in progress; the diagnostics say how it ended (last service)'
            )
        except Exception as err:
            response.success = False
            response.message = str(err) or type(err).__name__
        return response


def save(adaptation: Adaptation) -> str:
    """Let the guard judge the weights now, and keep the state of learning."""
    decision = adaptation.save()
    if decision is None:
        return 'the state of learning is saved; nothing is held out yet to judge the weights on'
    done = {'offer': 'handed over', 'wait': 'not handed over', 'roll back': 'rolled back'}
    return (
        f'the state of learning is saved; the weights are {done[decision.action]}: '
        f'{decision.reason}; revision {adaptation.current.revision}'
    )


def rollback(adaptation: Adaptation) -> str:
    """Go back to the revision before the one in use."""
    return f'back to revision {adaptation.rollback().revision}'


def reset(adaptation: Adaptation) -> str:
    """Forget everything that was learned."""
    adaptation.reset()
    return (
        f'back to {adaptation.current.name} {adaptation.current.revision} as it came; memory and '
        'state of learning are empty'
    )
