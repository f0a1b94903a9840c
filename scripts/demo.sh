#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
# The main job, end to end: a drive (simulated, or a bag or folder of frames given as argument)
# goes through the real nodes; what they published becomes a report page.
# With --adapt the depth node is taught while it drives; with --lidar a model whose metric scale is
# wrong is corrected by a LiDAR.
# "bash scripts/demo.sh --help" lists the options.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh
adapt='' lidar=''
for word; do
    if [ "$word" = --adapt ]; then adapt=yes; fi
    if [ "$word" = --lidar ]; then lidar=yes; fi
done
if [ "$adapt" ]; then
    make_environment sim report train
elif [ "$lidar" ]; then
    make_environment sim report
else
    make_environment sim report
    # real frames beside the checkout, where there are any, go through the same nodes
    for frames in ../shared/data/thermal_sequence ../shared/data/thermal_rgb_pair; do
        if [ -d "$frames" ]; then set -- "$@" --also "$frames"; fi
    done
fi
exec monother demo "$@"
