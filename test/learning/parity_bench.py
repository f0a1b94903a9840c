# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Loads bench/parity.py, so that tests and the published table compare the same things."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


def load():
    """The module."""
    path = Path(__file__).resolve().parents[2] / 'bench' / 'parity.py'
    if 'parity_bench_module' not in sys.modules:
        spec = importlib.util.spec_from_file_location('parity_bench_module', path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        sys.path.insert(0, str(path.parent))
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[spec.name]
            raise
        finally:
            sys.path.remove(str(path.parent))
    return sys.modules['parity_bench_module']


def check(rows, quantities):
    """Every row is within its limit, and all the quantities were compared."""
    rows = list(rows)
    missed = [row for row in rows if not row.ok]
    assert not missed, missed
    compared = ' '.join(row.quantity for row in rows)
    for quantity in quantities:
        assert quantity in compared, quantity
    return rows
