# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Keeps of the recorded signatures what the double of TensorRT is checked against.

    python reduce.py FOLDER

FOLDER holds ``trt_api_VERSION.json`` for each version, made from the docstrings of the real
bindings; ``signatures.json`` beside this file is written from them.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

VERSIONS = ('8.6.1', '10.3.0', '10.13.3.9', '11.4.0.106')

CLASSES = (
    'Builder BuilderFlag DataType Dims ExecutionContextAllocationStrategy '
    'HardwareCompatibilityLevel IBuilderConfig ICudaEngine IExecutionContext IHostMemory ILayer '
    'ILogger INetworkDefinition IOptimizationProfile IProgressMonitor IRuntimeConfig '
    'ITensor ITimingCache Logger MemoryPoolType NetworkDefinitionCreationFlag OnnxParser '
    'OnnxParserRefitter ParserError ProfilingVerbosity Refitter Runtime TensorIOMode '
    'TensorLocation Weights'
).split()

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
                if member.startswith(('add_', '__')) and member not in ('__init__', '__len__'):
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


if __name__ == '__main__':
    lines = json.dumps(reduce(Path(sys.argv[1])), indent=1)
    (Path(__file__).parent / 'signatures.json').write_text(lines + '\n')
