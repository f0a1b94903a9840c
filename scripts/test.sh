#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
# Linters, types and all tests. Arguments go to pytest: bash scripts/test.sh test/core -k thermal
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh
make_environment sim report evaluate cluster view train teachers compile openvino test dev
ruff check .
ruff format --check .
# stubs of NumPy differ from version to version: types are written for those of 2.4 and later
if python -c 'import numpy, sys; sys.exit([*map(int, numpy.__version__.split(".")[:2])] < [2, 4])'; then
    mypy
else
    printf 'types are not checked: NumPy %s is older than 2.4 (Python 3.10 has no newer one)\n' \
        "$(python -c 'import numpy; print(numpy.__version__)')"
fi
exec python -m pytest "$@"
