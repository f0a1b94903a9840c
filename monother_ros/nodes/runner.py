# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Spins one node until a signal, and leaves without a traceback."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from monother_ros.core.errors import MonotherError

POLL = 0.2
"""Seconds after which a signal is noticed at the latest while nothing arrives."""


def spin_until_signal(make_node: Callable[[], Any], arguments: Sequence[str] | None = None) -> int:
    """
    Make a node, spin it until SIGINT or SIGTERM, and take it down.

    The handlers are plain Python ones that set a flag: with rclpy's own, KeyboardInterrupt is
    raised in the middle of whatever callback runs, and publishing from another thread fails on
    the context that the handler has shut down. A second signal ends the process at once.

    :param make_node: called after rclpy.init; the node's ``destroy_node`` must free everything.
    :param arguments: command line with ROS arguments; sys.argv by default.
    :returns: exit code; 0 after a signal, 1 when the node cannot be made.
    """
    stop = threading.Event()

    def on_signal(number: int, _frame: object) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    rclpy.init(
        args=None if arguments is None else list(arguments),
        signal_handler_options=SignalHandlerOptions.NO,
    )
    try:
        try:
            node = make_node()
        except (MonotherError, ParameterException) as err:
            sys.stderr.write(f'error: {err}\n')
            return 1
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        try:
            with contextlib.suppress(ExternalShutdownException):
                while not stop.is_set() and rclpy.ok():
                    executor.spin_once(timeout_sec=POLL)
        finally:
            executor.remove_node(node)
            node.destroy_node()
            executor.shutdown()
    finally:
        rclpy.try_shutdown()
    return 0
