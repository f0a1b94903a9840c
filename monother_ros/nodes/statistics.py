# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of the frame path, written by the worker and read for diagnostics."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from monother_ros.core.stats import Counters, LatencyWindow, RateMeter
from monother_ros.nodes.frame_revisions import FrameRevisions

STAGES = (
    'wait',
    'decode',
    'shutter',
    'normalise',
    'points',
    'engine',
    'scale',
    'resize',
    'limits',
    'cloud',
    'color',
    'publish',
    'receive to publish',
    'stamp to publish',
)
"""Order in which stages are shown; others follow."""

REPLACED = 'replaced by a newer image'
"""Reason of a drop: the slot held an image when the next one came."""


class FrameStatistics:
    """
    Counts, rates and latencies; each method may be called from any thread.

    :ivar age: seconds between the last stamp and the clock when the image was received.
    :ivar failure: why the last image gave no depth, or None.
    :ivar shutter: what the last image was.
    :ivar skipped: why the pipeline left the last image out, or None.
    :ivar image: size and encoding of the last image.
    :ivar frame_id: of the last image.
    :ivar idle: nobody subscribed to anything at the last image.
    :ivar revisions: which revision made which frames.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self.age: float | None = None
            self.failure: str | None = None
            self.shutter = 'unknown'
            self.skipped: str | None = None
            self.image = ''
            self.frame_id = ''
            self.idle = False
            self.processed = 0
            self.resets = 0
            self.revisions = FrameRevisions()
            self._drops = Counters()
            self._windows: dict[str, LatencyWindow] = {}
            self._rate = RateMeter()
            self._last = (0, 0)

    def count(self, reason: str) -> None:
        """Count an image that gave no depth, by reason."""
        self._drops.add(reason)

    def processed_frame(self, timings: Mapping[str, float]) -> None:
        """
        Count a published frame.

        :param timings: seconds per stage.
        """
        with self._lock:
            self.processed += 1
            self._rate.tick()
            for stage, seconds in timings.items():
                if stage not in self._windows:
                    self._windows[stage] = LatencyWindow()
                self._windows[stage].add(seconds)

    def usual(self) -> float | None:
        """Median of the seconds that the engine takes for a frame; None before the first."""
        with self._lock:
            window = self._windows.get('engine')
            return None if window is None else window.latency().p50

    def clear_latency(self) -> None:
        """Forget latencies, as after a jump of the clock they are measured by."""
        with self._lock:
            self._windows.clear()

    @property
    def drops(self) -> dict[str, int]:
        """Images that gave no depth, by reason."""
        return self._drops.snapshot()

    def replaced_share(self) -> float:
        """Share of images replaced by newer ones since the last call of this method."""
        with self._lock:
            now = (self.processed, self._drops[REPLACED])
            processed, replaced = (b - a for a, b in zip(self._last, now, strict=True))
            self._last = now
        total = processed + replaced
        return replaced / total if total > 0 else 0.0

    def values(self) -> dict[str, str]:
        """Rates, latencies and drops for people, in a stable order."""
        with self._lock:
            result = {
                'depth rate [Hz]': f'{self._rate.rate():.1f}',
                'images processed': str(self.processed),
                'time jumps and restarts': str(self.resets),
            }
            order = {stage: i for i, stage in enumerate(STAGES)}
            for stage in sorted(self._windows, key=lambda s: (order.get(s, len(order)), s)):
                seen = self._windows[stage].latency()
                result[f'{stage} p50/p95/p99 [ms]'] = (
                    f'{1e3 * seen.p50:.2f} / {1e3 * seen.p95:.2f} / {1e3 * seen.p99:.2f}'
                )
            drops = self._drops.snapshot()
        result.update({f'dropped: {reason}': str(n) for reason, n in drops.items()})
        return result
