# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Scale estimates as messages: one type for what comes in and for what goes out.

geometry_msgs/Vector3Stamped, so that it can be recorded, plotted and sent by hand. Metric depth D
follows from the network's depth d by **1 / D = 1 / (x · d) + y**:

- vector.x: factor, without unit (depth times x where y is 0); NaN: the source is silent;
- vector.y: shift of inverse depth, 1/m;
- vector.z: standard deviation of the logarithm of the factor;
- header.stamp: time of what it was made from; frame_id: the thermal camera's, or empty.

scale/language carries RSA's (alpha, beta) as x = 1 / alpha, y = beta. scale/focal carries Depth
Pro's D = f / (w C) as x = f / w, y = 0, for the canonical inverse depth C = 1 / d; f and w are
focal length and width of the thermal image in pixels.
"""

from __future__ import annotations

import math
from typing import Any

from monother_ros.core.errors import MessageError, SettingsError
from monother_ros.core.scale_sources import ScaleEstimate, silent
from monother_ros.ros.messages import set_stamp, stamp_ns

INPUTS = {'language': 'scale/language', 'focal': 'scale/focal'}
"""Source → relative topic on which the depth node takes its estimates."""

OUTPUT = 'scale'
"""Relative topic on which the depth node tells the scale of every frame."""

SOURCE_OUTPUT = 'scale/source'
"""Relative topic (std_msgs/String, latched) with the sources that count, the weightiest first."""


def scale_message(estimate: ScaleEstimate, frame_id: str = '') -> Any:
    """
    Message of an estimate.

    :param estimate: in the space 'inverse', or in the space 'depth' without a shift.
    :param frame_id: optical frame of the thermal camera.
    :returns: geometry_msgs/Vector3Stamped.
    :raises SettingsError: a shift in the space 'depth' has no such form.
    """
    from geometry_msgs.msg import Vector3Stamped

    msg = Vector3Stamped()
    msg.header.frame_id = frame_id
    set_stamp(msg.header, estimate.stamp_ns)
    vector = msg.vector
    if not estimate.speaks:
        vector.x = vector.y = vector.z = math.nan
        return msg
    vector.z = float(estimate.sigma)
    if estimate.space == 'inverse':
        vector.x, vector.y = 1.0 / estimate.scale, float(estimate.shift)
        return msg
    if estimate.shift:
        text = 'a scale message holds a shift of inverse depth only; give it in that space'
        raise SettingsError(text)
    vector.x, vector.y = float(estimate.scale), 0.0
    return msg


def scale_from_message(msg: Any, source: str) -> ScaleEstimate:
    """
    Estimate of a message.

    :param msg: geometry_msgs/Vector3Stamped.
    :param source: who sent it.
    :returns: in the space 'inverse'; silent where x is NaN.
    :raises MessageError: the numbers cannot be meant.
    """
    x, y, z = (float(v) for v in (msg.vector.x, msg.vector.y, msg.vector.z))
    stamp = stamp_ns(msg)
    if math.isnan(x):
        return silent(source, f'{source} says that it has no estimate', stamp)
    try:
        if not (math.isfinite(x) and x > 0):
            text = f'x is {x:g}, the factor of depth; it must be finite and above 0'
            raise SettingsError(text)
        return ScaleEstimate(source, 1.0 / x, y, 'inverse', z, stamp)
    except SettingsError as err:
        text = f'the message of the source {source} cannot be used: {err}'
        raise MessageError(text) from err
