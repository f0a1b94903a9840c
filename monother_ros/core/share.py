# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the package's launch, config and model files may lie."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

PACKAGE = 'monother_ros'


def share_folders() -> list[Path]:
    """
    Folders that may be share/monother_ros, best first; not all of them exist.

    Those of every prefix in AMENT_PREFIX_PATH (a sourced colcon workspace), of the Python
    environment, and of the user's own pip installation; last, the root of a source checkout.
    """
    prefixes = [item for item in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if item]
    prefixes += [sysconfig.get_path('data'), sys.prefix]
    user = f'{os.name}_user'
    if user in sysconfig.get_scheme_names():
        prefixes.append(sysconfig.get_path('data', user))
    folders = [Path(prefix) / 'share' / PACKAGE for prefix in prefixes]
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / 'package.xml').is_file():
        folders.append(checkout)
    return list(dict.fromkeys(folders))
