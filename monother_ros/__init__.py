# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Metric depth from thermal cameras for ROS 2 robots."""

__version__ = '0.1.0'
