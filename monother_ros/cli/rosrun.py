# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the verbs that talk to ROS share: start, signals, end."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from monother_ros.core.errors import SettingsError
from monother_ros.ros.transport import use_profile


@contextlib.contextmanager
def ros_context() -> Iterator[None]:
    """
    Initialise rclpy for one verb and shut it down at its end.

    The shipped Fast DDS profile is used unless the user's environment names another one: without
    it, best-effort messages above 512 KiB are lost between processes.

    :raises SettingsError: rclpy is not installed.
    """
    use_profile()
    try:
        import rclpy
        from rclpy.signals import SignalHandlerOptions
    except ImportError as err:
        msg = (
            f'rclpy cannot be imported ({err}); source a ROS 2 distribution or '
            "pip install 'monother_ros[ros]'"
        )
        raise SettingsError(msg) from err
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        yield
    finally:
        rclpy.try_shutdown()


@contextlib.contextmanager
def stop_on_signals(stop: Callable[[], None]) -> Iterator[threading.Event]:
    """
    Call a function on SIGINT and SIGTERM instead of ending the process.

    :param stop: called in the main thread; must return at once.
    :yields: an event that is set when a signal has come.
    """
    stopped = threading.Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        """Note the signal and pass it on."""
        stopped.set()
        stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
