# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Recordings for the Rerun viewer: time, memory and size, and a picture of the viewer's own web page.

    python bench/view.py DRIVE --recorded BAG --output view.json --picture docs/view.png

The picture is made by the viewer's web page in a headless Chromium with software WebGL, which
takes a minute; it needs playwright.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import cv2
import numpy as np

from monother_ros.evaluation.view import ViewSettings, write_view

CHROMIUM = ('--no-sandbox', '--use-gl=angle', '--use-angle=swiftshader')
SOFTWARE = ('--enable-unsafe-swiftshader', '--ignore-gpu-blocklist')
SIZE = (1600, 950)


def measure(arguments: argparse.Namespace, out: Path) -> dict[str, float]:
    """Write the recording and say what it took."""
    settings = ViewSettings(model=arguments.model, every=arguments.every)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.perf_counter()
    viewed = write_view(out, arguments.drive, arguments.recorded, settings)
    seconds = time.perf_counter() - begin
    frames = max(viewed.counts['thermal'], 1)
    return {
        'frames': frames,
        'depth': viewed.counts['depth'],
        'seconds': round(seconds, 2),
        'ms_per_frame': round(1000 * seconds / frames, 1),
        'megabytes': round(out.stat().st_size / 1e6, 1),
        'megabytes_per_frame': round(out.stat().st_size / 1e6 / frames, 3),
        'memory_growth_megabytes': round(
            (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3, 1
        ),
    }


def photograph(recording: Path, picture: Path, patience: float, browser: str) -> float:
    """
    Picture of the viewer's web page.

    :returns: part of the picture's pixels that are not of its commonest colour.
    """
    from playwright.sync_api import sync_playwright

    ports = (9000 + os.getpid() % 500, 9500 + os.getpid() % 500)
    words = ['--bind', '127.0.0.1', '--serve-web', '--port', str(ports[0])]
    server = subprocess.Popen(
        [sys.executable, '-m', 'rerun_cli', *words, '--web-viewer-port', str(ports[1]), recording],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # the program starts another one, which must end with it
    )
    try:
        time.sleep(3)
        source = quote(f'rerun+http://127.0.0.1:{ports[0]}/proxy', safe='')
        with sync_playwright() as play:
            chromium = play.chromium.launch(executable_path=browser, args=[*CHROMIUM, *SOFTWARE])
            page = chromium.new_page(viewport={'width': SIZE[0], 'height': SIZE[1]})
            page.goto(f'http://127.0.0.1:{ports[1]}/?url={source}&renderer=webgl')
            page.wait_for_timeout(1000 * patience)
            page.screenshot(path=str(picture))
            chromium.close()
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()
    image = cv2.imread(str(picture))
    colours = image.reshape(-1, 3).astype(np.uint32) @ np.array([1, 256, 65536], np.uint32)
    return 1.0 - np.bincount(np.unique(colours, return_inverse=True)[1]).max() / colours.size


def main() -> int:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[1])
    parser.add_argument('drive', type=Path)
    parser.add_argument('--recorded', type=Path)
    parser.add_argument('--model', default='')
    parser.add_argument('--every', type=int, default=1)
    parser.add_argument('--output', type=Path, help='JSON of the figures')
    parser.add_argument('--picture', type=Path)
    parser.add_argument('--patience', type=float, default=60.0, help='seconds that the page gets')
    parser.add_argument('--browser', default='/usr/bin/chromium')
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder) / 'view.rrd'
        figures = measure(arguments, recording)
        if arguments.picture:
            seen = photograph(recording, arguments.picture, arguments.patience, arguments.browser)
            figures['picture_not_of_one_colour'] = round(seen, 3)
    text = json.dumps(figures, indent=2)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
