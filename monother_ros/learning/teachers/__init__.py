# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Families of depth teachers; :mod:`monother_ros.learning.teacher` is the way in."""
