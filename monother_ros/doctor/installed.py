# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is installed here: system, ROS, GPU, libraries, and whether they fit together."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from monother_ros import __version__
from monother_ros.doctor.findings import FAIL, INFO, OK, WARN, Finding, Section

SUPPORTED = ('humble', 'jazzy', 'kilted', 'rolling')

ABI_SIGNS = (
    '_ARRAY_API not found',
    'numpy.core.multiarray failed to import',
    'compiled using NumPy 1',
    'numpy.dtype size changed',
)
"""What an extension says that was compiled for another NumPy."""

EXTENSIONS = ('cv2', 'onnxruntime', 'openvino', 'pycuda', 'tensorrt', 'cv_bridge.boost')
"""Modules that are compiled against NumPy."""

OPENCV = ('opencv-python', 'opencv-python-headless', 'opencv-contrib-python')


def run_command(command: Sequence[str], seconds: float = 20.0) -> tuple[int, str]:
    """
    Run a program.

    :param command: program and its arguments.
    :param seconds: time that it has.
    :returns: exit code and what it said; 127 where it cannot be run, 124 where it took too long.
    """
    try:
        done = subprocess.run(
            list(command), capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return 124, f'{command[0]} did not answer within {seconds:g} s'
    except OSError as err:
        return 127, str(err)
    return done.returncode, (done.stdout + done.stderr).strip()


def version_of(*names: str) -> str:
    """
    Version of the first of some distributions that is installed.

    :param names: as pip calls them.
    :returns: empty where none is.
    """
    found = {name: next(iter(importlib.metadata.distributions(name=name)), None) for name in names}
    return next((item.version for item in found.values() if item is not None), '')


def installed() -> list[Section]:
    """System, GPU, libraries and ROS, in this order."""
    return [
        Section('System', (_system(), _board(), _memory())),
        Section('GPU', tuple(gpu_findings())),
        Section('Libraries', tuple(_libraries())),
        Section('ROS', tuple(ros_findings(os.environ))),
    ]


def _system() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    found = (
        f'monother_ros {__version__}, Python {platform.python_version()}, '
        f'{platform.system()} {platform.release()} on {platform.machine()}, {cores} cores'
    )
    return Finding('system', OK, found)


def _board(root: Path = Path('/')) -> Finding:
    """A Jetson and its JetPack, or none."""
    release = root / 'etc/nv_tegra_release'
    model = root / 'proc/device-tree/model'
    name = model.read_text(errors='replace').strip('\0 \n') if model.is_file() else ''
    if not release.is_file():
        return Finding('board', INFO, name or 'no Jetson')
    text = release.read_text(errors='replace')
    match = re.search(r'R(\d+).*?REVISION:\s*([\d.]+)', text)
    l4t = f'{match[1]}.{match[2]}' if match else 'unknown'
    jetpack = {'35': '5', '36': '6', '38': '7', '39': '7'}.get(match[1] if match else '', '')
    found = f'{name or "Jetson"}, L4T {l4t}' + (f' (JetPack {jetpack})' if jetpack else '')
    advice = '' if jetpack else 'this L4T is not known here; see docs/install_jetson.md'
    return Finding('board', OK if jetpack else WARN, found, advice, {'l4t': l4t})


def _memory(path: Path = Path('/proc/meminfo')) -> Finding:
    try:
        lines = dict(line.split(':', 1) for line in path.read_text().splitlines() if ':' in line)
        total, free = (int(lines[k].split()[0]) / 2**20 for k in ('MemTotal', 'MemAvailable'))
    except (OSError, KeyError, ValueError):
        return Finding('memory', INFO, 'unknown')
    found = f'{total:.1f} GiB, {free:.1f} GiB available'
    if free < 0.5:
        return Finding('memory', WARN, found, 'engines need up to 1 GiB; stop other programs')
    return Finding('memory', OK, found)


def gpu_findings() -> list[Finding]:
    """GPU and driver by nvidia-smi, and CUDA by PyCUDA."""
    fields = 'name,driver_version,memory.total,compute_cap'
    command = ['nvidia-smi', f'--query-gpu={fields}', '--format=csv,noheader,nounits']
    code, text = run_command(command) if shutil.which('nvidia-smi') else (127, '')
    rows = [[part.strip() for part in line.split(',')] for line in text.splitlines()]
    findings = []
    if code == 0 and rows and all(len(row) == 4 for row in rows):
        for k, (name, driver, memory, cc) in enumerate(rows):
            found = f'{name}, driver {driver}, {memory} MiB, compute capability {cc}'
            findings.append(Finding(f'gpu {k}', OK, found))
    elif code == 127:
        findings.append(
            Finding('gpu', INFO, 'none that nvidia-smi tells of (a Jetson may have no nvidia-smi)')
        )
    else:
        advice = 'reboot after an update of the driver; in a container: start it with --gpus all'
        findings.append(Finding('gpu', FAIL, f'nvidia-smi fails: {text[:200]}', advice))
    findings.append(_pycuda(bool(code == 0)))
    return findings


def _pycuda(gpu: bool) -> Finding:
    if importlib.util.find_spec('pycuda') is None:
        advice = 'pip install pycuda, for TensorRT' if gpu else ''
        return Finding('pycuda', WARN if gpu else INFO, 'not installed', advice)
    # in a process of its own: a broken driver can end the process
    code, text = run_command([sys.executable, '-c', _PYCUDA])
    version = version_of('pycuda')
    if code == 0:
        return Finding('pycuda', OK, f'{version}, {text.splitlines()[-1]}')
    reason = text.splitlines()[-1] if text else f'exit code {code}'
    advice = 'libcuda.so.1 comes with the driver; in a container: start it with --gpus all'
    return Finding('pycuda', WARN if gpu else INFO, f'{version} does not run: {reason}', advice)


_PYCUDA = (
    'import pycuda.driver as d; d.init(); '
    'n = d.Device.count(); v = d.get_driver_version(); '
    'print(f"{n} devices, CUDA {v // 1000}.{v % 1000 // 10} by the driver: " '
    '+ ", ".join(d.Device(k).name() for k in range(n)))'
)


def _libraries() -> list[Finding]:
    """Engines and what they need, and whether compiled modules fit NumPy."""
    listed = {
        'numpy': ('numpy',),
        'onnxruntime': ('onnxruntime-gpu', 'onnxruntime'),
        'tensorrt': ('tensorrt', 'tensorrt-cu13', 'tensorrt-cu12'),
        'tensorrt_rtx': ('tensorrt_rtx_cu13_bindings', 'tensorrt_rtx'),
        'cuda-bindings': ('cuda-bindings', 'cuda-python'),
        'openvino': ('openvino',),
        'onnx': ('onnx',),
        'torch': ('torch',),
    }
    findings = []
    for name, names in listed.items():
        version = version_of(*names)
        findings.append(Finding(name, OK if version else INFO, version or 'not installed'))
    both = [version_of('onnxruntime'), version_of('onnxruntime-gpu')]
    if all(both):
        advice = 'pip uninstall onnxruntime onnxruntime-gpu, then install the one that you want'
        found = f'onnxruntime {both[0]} and onnxruntime-gpu {both[1]} overwrite each other'
        findings.append(Finding('onnxruntime twice', WARN, found, advice))
    findings += [_opencv(), numpy_abi()]
    return findings


def _opencv() -> Finding:
    found = {name: version for name in OPENCV if (version := version_of(name))}
    if len(found) > 1:
        told = ' and '.join(f'{name} {version}' for name, version in found.items())
        advice = f'keep one: pip uninstall {" ".join(found)}, then install it again'
        return Finding('opencv', WARN, f'{told} overwrite each other', advice)
    try:
        import cv2
    except ImportError as err:
        advice = 'pip install opencv-python-headless, or apt install python3-opencv'
        return Finding('opencv', FAIL, f'cannot be imported: {err}', advice)
    return Finding('opencv', OK, f'{cv2.__version__} ({next(iter(found), "of the system")})')


def numpy_abi(modules: Sequence[str] = EXTENSIONS) -> Finding:
    """
    Whether compiled modules were made for the NumPy that is installed.

    :param modules: each is imported in a process of its own, as some crash.
    """
    name = 'numpy abi'
    here = [module for module in modules if _spec(module)]
    broken = []
    for module in here:
        code, text = run_command([sys.executable, '-c', f'import {module}'], 60.0)
        if any(sign in text for sign in ABI_SIGNS) or code < 0:
            broken.append(module)
    if broken:
        found = f'{", ".join(broken)} cannot work with NumPy {version_of("numpy")}'
        advice = (
            "they were compiled for another NumPy: pip install 'numpy<2' beside packages of the "
            'distribution (cv_bridge, JetPack), or newer versions of them'
        )
        return Finding(name, FAIL, found, advice)
    return Finding(name, OK, f'{", ".join(here)} fit NumPy {version_of("numpy")}')


def _spec(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def ros_findings(environment: Mapping[str, str]) -> list[Finding]:
    """
    ROS distribution, middleware and domain.

    :param environment: variables of the process.
    """
    distribution = environment.get('ROS_DISTRO', '')
    if importlib.util.find_spec('rclpy') is None:
        advice = "source /opt/ros/<distribution>/setup.bash, or pip install 'monother_ros[ros]'"
        return [Finding('rclpy', INFO, 'not installed; the library works without', advice)]
    code, text = run_command([sys.executable, '-c', _RMW])
    if code:
        reason = text.splitlines()[-1] if text else f'exit code {code}'
        advice = 'source the setup.bash of the distribution that this Python belongs to'
        return [Finding('rclpy', FAIL, f'cannot be imported: {reason}', advice)]
    rmw = text.splitlines()[-1]
    how = distribution or 'installed with pip (ROS_DISTRO is not set)'
    old = distribution and distribution not in SUPPORTED
    findings = [
        Finding(
            'distribution',
            WARN if old else OK,
            f'{how}, rclpy {version_of("rclpy", "ros-rclpy")}',
            f'tested with {", ".join(SUPPORTED)}' if old else '',
        ),
        Finding('middleware', OK, rmw),
    ]
    domain = environment.get('ROS_DOMAIN_ID', '0')
    fits = domain.isdigit() and int(domain) <= 101
    findings.append(
        Finding(
            'domain',
            OK if fits else WARN,
            f'ROS_DOMAIN_ID {domain}',
            '' if fits else 'use 0 to 101; above, the ports are those of other programs',
        )
    )
    names = ('ROS_LOCALHOST_ONLY', 'ROS_AUTOMATIC_DISCOVERY_RANGE')
    told = ', '.join(f'{name}={environment[name]}' for name in names if name in environment)
    return [*findings, Finding('discovery', INFO, told)] if told else findings


_RMW = (
    'import rclpy; from rclpy.utilities import get_rmw_implementation_identifier as f; print(f())'
)
