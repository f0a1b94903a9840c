# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Keeps of the recorded signatures what the double of TensorRT is checked against.

    python reduce.py FOLDER

FOLDER holds ``trt_api_VERSION.json`` for each version, made from the docstrings of the real
bindings, and ``pycuda_VERSION.txt``; ``signatures.json`` and ``pycuda.json`` beside this file are
written from them. ``cuda_bindings.json`` holds first lines of docstrings of cuda-bindings 13.5.0.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

VERSIONS = ('8.6.1', '10.3.0', '10.13.3.9', '11.4.0.106')

CLASSES = (
    'Builder',
    'BuilderFlag',
    'DataType',
    'Dims',
    'ExecutionContextAllocationStrategy',
    'HardwareCompatibilityLevel',
    'IBuilderConfig',
    'ICudaEngine',
    'IExecutionContext',
    'IHostMemory',
    'ILayer',
    'ILogger',
    'INetworkDefinition',
    'IOptimizationProfile',
    'IProgressMonitor',
    'IRuntimeConfig',
    'ITensor',
    'ITimingCache',
    'Logger',
    'MemoryPoolType',
    'NetworkDefinitionCreationFlag',
    'OnnxParser',
    'OnnxParserRefitter',
    'ParserError',
    'ProfilingVerbosity',
    'Refitter',
    'Runtime',
    'TensorIOMode',
    'TensorLocation',
    'Weights',
)

PYCUDA = (
    'Device',
    'Context',
    'Stream',
    'DeviceAllocation',
    'HostPointer',
    'HostAllocation',
    'host_alloc_flags',
    'device_attribute',
    'mem_alloc',
    'mem_get_info',
    'pagelocked_empty',
    'memcpy_htod_async',
    'memcpy_dtoh_async',
)

KEPT = ('__init__', '__len__', 'add_optimization_profile')

SHORT = (
    (r'tensorrt_bindings\.tensorrt\.|nvinfer1::', ''),
    (r'::', '.'),
    (r'typing_extensions\.|collections\.abc\.|typing\.', ''),
)


def reduce(folder: Path) -> dict:
    """
    Members of the classes, each signature with the versions that have it.

    :param folder: with the recorded files.
    """
    whole = [json.loads((folder / f'trt_api_{v}.json').read_text()) for v in VERSIONS]
    classes: dict[str, dict] = {}
    for name in CLASSES:
        entry: dict = {'versions': '', 'bases': [], 'members': {}}
        for k, found in enumerate(item.get(name) for item in whole):
            if found is None:
                continue
            entry['versions'] += str(k)
            entry['bases'] = [base for base in found['bases'] if base in CLASSES]
            if 'enum' in found:
                entry.setdefault('enum', {})[str(k)] = found['enum']
                continue
            for member, texts in found['members'].items():
                special = member.startswith('__') and member not in ('__init__', '__len__')
                if special or (name == 'INetworkDefinition' and member.startswith('add_')):
                    continue
                for text in [texts] if isinstance(texts, str) else texts:
                    for pattern, short in SHORT:
                        text = re.sub(pattern, short, text)
                    kept = entry['members'].setdefault(member, {})
                    kept[text] = kept.get(text, '') + str(k)
        if 'enum' in entry:
            del entry['members']
        classes[name] = entry
    return {'versions': list(VERSIONS), 'classes': classes}


def reduce_pycuda(path: Path) -> dict:
    """
    Classes with their members, functions with their signatures.

    :param path: of the recorded text.
    """
    classes, functions = {}, {}
    for line in path.read_text().splitlines():
        found = re.match(r'class (\w+)\(\w+\) __int__=(\w+): (.*)', line)
        if found and found[1] in PYCUDA:
            members = [part.split('::')[0].strip() for part in re.split(r' \| ', found[3])]
            kept = [name for name in members if name not in dir(int)]
            classes[found[1]] = {'int': found[2] == 'True', 'members': kept}
        name, _, text = line.partition(': ')
        if name in PYCUDA and 'C++' in text:
            functions[name] = text.partition(' -> ')[0]
    return {'version': path.stem.partition('_')[2], 'classes': classes, 'functions': functions}


def lines_of(data: dict) -> str:
    """JSON with one line for each class, to be read and compared."""
    inner = ',\n '.join(f'{json.dumps(k)}: {json.dumps(v)}' for k, v in data['classes'].items())
    rest = {key: value for key, value in data.items() if key != 'classes'}
    return json.dumps(rest)[:-1] + ', "classes": {\n ' + inner + '\n}}\n'


if __name__ == '__main__':
    folder, here = Path(sys.argv[1]), Path(__file__).parent
    (here / 'signatures.json').write_text(lines_of(reduce(folder)))
    recorded = next(folder.glob('pycuda_*.txt'))
    (here / 'pycuda.json').write_text(lines_of(reduce_pycuda(recorded)))
