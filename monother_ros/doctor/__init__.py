# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is installed, what would be chosen, what is wrong, and what to do about it."""
