# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A simulated thermal, RGB and LiDAR world with exact depth."""
