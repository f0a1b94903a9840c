#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
# Linters, types and all tests. Arguments go to pytest: bash scripts/test.sh test/core -k thermal
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh
make_environment sim report train teachers compile openvino dev
ruff check .
ruff format --check .
mypy
exec python -m pytest "$@"
