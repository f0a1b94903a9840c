#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
# The main job, end to end: a drive (simulated, or a bag or folder of frames given as argument)
# goes through the real nodes; what they published becomes a report page.
# "bash scripts/demo.sh --help" lists the options.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh
make_environment sim report
exec monother demo "$@"
