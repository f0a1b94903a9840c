# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Build of the ament_python package; also installable with pip."""

from pathlib import Path

from setuptools import find_packages, setup

NAME = 'monother_ros'
HERE = Path(__file__).resolve().parent


def tree(folder: str) -> list[tuple[str, list[str]]]:
    """Files of a folder and below it, as data files in share/monother_ros."""
    groups: dict[str, list[str]] = {}
    for file in sorted((HERE / folder).rglob('*')):
        if file.is_file() and '__pycache__' not in file.parts:
            relative = file.relative_to(HERE)
            groups.setdefault(f'share/{NAME}/{relative.parent}', []).append(str(relative))
    return list(groups.items())


setup(
    name=NAME,
    version='0.1.0',
    packages=find_packages(include=[NAME, f'{NAME}.*']),
    package_data={NAME: ['py.typed', 'evaluation/templates/*']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (f'share/{NAME}', ['package.xml']),
        # ros2 run and ros2 launch look here; pip puts console scripts into bin only
        (
            f'lib/{NAME}',
            [
                'scripts/monother',
                'scripts/depth_node',
                'scripts/adapt_node',
                'scripts/language_node',
                'scripts/metrics_node',
            ],
        ),
        *tree('launch'),
        *tree('config'),
        *tree('models'),
    ],
    python_requires='>=3.10',
    install_requires=[
        'setuptools',
        'numpy>=1.21',
        'opencv-python-headless>=4.5',
        'onnxruntime>=1.17',
    ],
    extras_require={
        'ros': [
            'ros-kilted-rclpy',
            'ros-kilted-common-interfaces',
            'ros-rclpy[fastrtps]',
        ],
        'bags': ['rosbags>=0.10'],
        # engines for NVIDIA GPUs; a Jetson has TensorRT from its JetPack
        'tensorrt': ['tensorrt>=10.3', 'pycuda>=2022.2', 'cuda-bindings>=12', 'onnx>=1.16'],
        'tensorrt-rtx': [
            'tensorrt-rtx-cu13-bindings',
            'tensorrt-rtx-cu13-libs',
            'pycuda>=2022.2',
            'cuda-bindings>=12',
            'onnx>=1.16',
        ],
        # plans for desktop RTX GPUs, compiled where there is none
        'compile': [
            'tensorrt-rtx-cu13-bindings; platform_machine == "x86_64"',
            'tensorrt-rtx-cu13-libs; platform_machine == "x86_64"',
            'onnx>=1.16',
        ],
        'openvino': ['openvino>=2024.4'],
        'sim': ['rosbags>=0.10', 'embreex', 'tqdm'],
        # recordings for the Rerun viewer
        'view': ['rosbags>=0.10', 'rerun-sdk>=0.27'],
        'report': ['rosbags>=0.10', 'matplotlib>=3.7', 'jinja2>=3'],
        # accuracy on recordings; worlds that are simulated need 'sim', too
        'evaluate': ['rosbags>=0.10', 'matplotlib>=3.7', 'jinja2>=3', 'tqdm'],
        # many recordings at once, on the cores of a machine or on a cluster
        'cluster': ['dask[distributed]>=2024.4'],
        'train': [
            'torch>=2.4',
            'onnx>=1.16',
            'onnxscript',
            'safetensors>=0.4',
            'tqdm',
            'matplotlib>=3.7',
            'PyYAML>=5.4',
            'tensorboard',
        ],
        # RGB depth networks that a thermal network can learn from
        'teachers': ['torch>=2.4', 'transformers>=5.0', 'safetensors>=0.4', 'PyYAML>=5.4'],
        # the name by which colcon knows that pytest runs the tests
        'test': [
            'pytest>=7',
            'hypothesis>=6',
            'psutil',
            'PyYAML>=5.4',
            'trimesh>=4',
            'rtree',
        ],
        'dev': [
            'ruff>=0.6',
            'mypy>=1.10',
            'playwright',
            'colcon-core',
            'colcon-ros',
            'colcon-python-setup-py',
            'colcon-recursive-crawl',
            'colcon-library-path',
            'colcon-output',
        ],
    },
    zip_safe=True,
    maintainer='monother_ros authors',
    maintainer_email='maintainers@monother-ros.example',
    description='Metric depth, confidence and point clouds from thermal cameras',
    license='Apache-2.0',
    entry_points={
        'console_scripts': [
            'monother = monother_ros.cli.main:main',
            'depth_node = monother_ros.nodes.depth_node:main',
            'adapt_node = monother_ros.nodes.adapt_node:main',
            'language_node = monother_ros.nodes.language_node:main',
            'metrics_node = monother_ros.nodes.metrics_node:main',
        ],
    },
)
