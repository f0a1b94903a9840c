# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Classes made from the recorded signatures of one version of TensorRT.

They have the members that this version has and no others; each call must fit one of the recorded
signatures, as pybind11 wants it. What a member does is written once, in a plain class.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

RECORDED = Path(__file__).parent / 'trt_api' / 'signatures.json'
NO_DEFAULT = object()
SEVERITIES = ('INTERNAL_ERROR', 'ERROR', 'WARNING', 'INFO', 'VERBOSE')


class RecordedEnum:
    """A pybind11 enumeration: members with a name and a value, int() works."""

    __members__: ClassVar[dict[str, RecordedEnum]] = {}

    def __init__(self, name: str, value: int) -> None:
        self.name = name
        self.value = value

    def __int__(self) -> int:
        return self.value

    __index__ = __int__

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.value == self.value

    def __hash__(self) -> int:
        return hash((type(self).__name__, self.value))

    def __repr__(self) -> str:
        return f'<{type(self).__name__}.{self.name}: {self.value}>'


def make_enum(name: str, values: dict[str, int]) -> type[RecordedEnum]:
    """An enumeration with these members and no others."""
    made = type(name, (RecordedEnum,), {})
    made.__members__ = {key: made(key, value) for key, value in values.items()}
    for key, member in made.__members__.items():
        setattr(made, key, member)
    return made


def split(text: str) -> list[str]:
    """Parameters of a signature; commas inside of brackets do not count."""
    parts, depth, start = [], 0, 0
    for k, letter in enumerate(text):
        depth += (letter in '([{<') - (letter in ')]}>')
        if letter == ',' and depth == 0:
            parts.append(text[start:k])
            start = k + 1
    return [part.strip() for part in (*parts, text[start:]) if part.strip()]


class Signature:
    """
    One recorded signature.

    :param text: e.g. 'parse(self: OnnxParser, model: buffer, path: str = None) -> bool'.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        found = re.match(r'^\w+\((.*)\) -> .*$', text)
        assert found is not None, text
        self.parameters: list[tuple[str, str, Any]] = []
        for part in split(found[1])[1:]:
            name, _, rest = part.partition(': ')
            kind, equals, default = rest.partition(' = ')
            self.parameters.append((name, kind, default if equals else NO_DEFAULT))

    def bind(self, api: Recorded, args: tuple, kwargs: dict) -> dict[str, Any] | str:
        """Arguments by name, or why they do not fit."""
        names = [name for name, _, _ in self.parameters]
        if len(args) > len(names):
            return f'{len(args)} arguments'
        given = dict(zip(names, args, strict=False))
        for key, value in kwargs.items():
            if key not in names or key in given:
                return f'argument {key}'
            given[key] = value
        for name, kind, default in self.parameters:
            if name not in given:
                if default is NO_DEFAULT:
                    return f'{name} is missing'
            elif not (given[name] is None and default == 'None') and not api.fits(
                given[name], kind
            ):
                return f'{name} is {type(given[name]).__name__}, not {kind}'
        return given


class Recorded:
    """
    Classes of one version.

    :param version: one of the recorded ones, e.g. '10.3.0'.
    :param implementations: what members do, by name of the class.
    :param fault: asked before every member with 'Class.member'; see World.
    """

    def __init__(self, version: str, implementations: dict[str, type], fault: Any) -> None:
        data = json.loads(RECORDED.read_text())
        self.version = version
        self.fault = fault
        self.implementations = implementations
        self.used: set[str] = set()
        column = str(data['versions'].index(version))
        self.classes: dict[str, type] = {}
        pending = {k: v for k, v in data['classes'].items() if column in v['versions']}
        while pending:
            for name, entry in list(pending.items()):
                if any(base in pending for base in entry['bases']):
                    continue
                del pending[name]
                if 'enum' in entry:
                    self.classes[name] = make_enum(name, entry['enum'][column])
                else:
                    self.classes[name] = self._make_class(name, entry, column)
        severity = make_enum('Severity', {name: k for k, name in enumerate(SEVERITIES)})
        for name in ('ILogger', 'Logger'):
            self.classes[name].Severity = severity
            for key, member in severity.__members__.items():
                setattr(self.classes[name], key, member)

    def wrap(self, name: str, implementation: Any) -> Any:
        """An object of a class that the bindings hand out."""
        kind = self.classes[name]
        made = kind.__new__(kind)
        object.__setattr__(made, '_impl', implementation)
        return made

    def fits(self, value: Any, kind: str) -> bool:
        """Whether pybind11 would take a value for a recorded type."""
        if '|' in kind:
            return any(self.fits(value, part.strip()) for part in kind.split('|'))
        if kind == 'ILogger.Severity':
            return isinstance(value, self.classes['ILogger'].Severity)
        if kind == 'Weights' and isinstance(value, np.ndarray):
            return True
        if kind == 'Dims':
            return isinstance(value, (tuple, list, self.classes['Dims']))
        if kind in self.classes:
            return isinstance(value, self.classes[kind])
        if kind == 'bool':
            return isinstance(value, (bool, np.bool_))
        if kind == 'int':
            return hasattr(value, '__index__') and not isinstance(value, RecordedEnum)
        if kind in ('SupportsInt', 'SupportsFloat', 'float'):
            return hasattr(value, '__int__') and not isinstance(value, RecordedEnum)
        plain = {'str': str, 'tuple': tuple, 'list': list, 'numpy.ndarray': np.ndarray}
        if kind in plain:
            return isinstance(value, plain[kind])
        if kind.lower() == 'buffer':
            return isinstance(value, (bytes, bytearray, memoryview)) or hasattr(
                value, '__buffer__'
            )
        if kind.startswith(('Sequence[', 'List[', 'list[')):
            return isinstance(value, (list, tuple))
        return re.match('I[A-Z]', kind) is None

    def bind(self, where: str, texts: list[Signature], args: tuple, kwargs: dict) -> dict:
        """Arguments by name, of the first signature that fits."""
        self.used.add(where)
        reasons = []
        for signature in texts:
            found = signature.bind(self, args, kwargs)
            if isinstance(found, dict):
                return found
            reasons.append(f'{signature.text}: {found}')
        msg = f'{where}(): incompatible function arguments in {self.version}: ' + '; '.join(
            reasons
        )
        raise TypeError(msg)

    def _make_class(self, name: str, entry: dict, column: str) -> type:
        here = {
            member: [text for text, columns in texts.items() if column in columns]
            for member, texts in entry['members'].items()
        }
        here = {member: texts for member, texts in here.items() if texts}
        space: dict[str, Any] = {'__setattr__': self._setter(), '__module__': 'tensorrt'}
        for member, texts in here.items():
            if member == '__init__':
                continue
            if texts[0].startswith('property'):
                space[member] = self._property(name, member, texts[0])
            elif '(' in texts[0]:
                space[member] = self._method(name, member, [Signature(t) for t in texts])
        space['__init__'] = self._constructor(name, here.get('__init__', []))
        implementation = self.implementations.get(name)
        for special in ('__getitem__', '__len__', '__buffer__', '__iter__'):
            if implementation is not None and hasattr(implementation, special):
                space[special] = self._forward(special)
        bases = tuple(self.classes[base] for base in entry['bases']) or (object,)
        made = type(name, bases, space)
        space['__setattr__'].owner = made
        return made

    def _setter(self) -> Any:
        def refuse(obj: Any, key: str, value: Any) -> None:
            known = isinstance(getattr(type(obj), key, None), property)
            if type(obj) is refuse.owner and not known:
                msg = f'{type(obj).__name__!r} object has no attribute {key!r}'
                raise AttributeError(msg)
            object.__setattr__(obj, key, value)

        return refuse

    def _constructor(self, name: str, texts: list[str]) -> Any:
        signatures = [Signature(text) for text in texts if text.startswith('__init__(')]

        def construct(obj: Any, *args: Any, **kwargs: Any) -> None:
            if not signatures:
                msg = f'{name}: No constructor defined!'
                raise TypeError(msg)
            given = self.bind(f'{name}.__init__', signatures, args, kwargs)
            fault = self.fault(f'{name}.__init__')
            if fault is not None:
                raise fault
            kind = self.implementations.get(name)
            object.__setattr__(obj, '_impl', kind(**given) if kind is not None else None)

        return construct

    def _method(self, name: str, member: str, signatures: list[Signature]) -> Any:
        where = f'{name}.{member}'

        def call(obj: Any, *args: Any, **kwargs: Any) -> Any:
            given = self.bind(where, signatures, args, kwargs)
            fault = self.fault(where)
            if isinstance(fault, BaseException):
                raise fault
            if fault is not None:
                return fault.value
            return self._implemented(obj, where, member)(**given)

        return call

    def _property(self, name: str, member: str, text: str) -> property:
        where = f'{name}.{member}'

        def read(obj: Any) -> Any:
            self.used.add(where)
            return self._implemented(obj, where, member)

        def write(obj: Any, value: Any) -> None:
            self.used.add(where)
            kind = text.rpartition('-> ')[2]
            if not self.fits(value, kind):
                msg = f'{where} takes {kind}, not {type(value).__name__}'
                raise TypeError(msg)
            self._implemented(obj, where, member)
            setattr(obj._impl, member, value)

        return property(read, None if text.startswith('property (ro)') else write)

    @staticmethod
    def _implemented(obj: Any, where: str, member: str) -> Any:
        if not hasattr(obj._impl, member):
            msg = f'TensorRT has {where}, but the double does not do it yet'
            raise NotImplementedError(msg)
        return getattr(obj._impl, member)

    @staticmethod
    def _forward(special: str) -> Any:
        def call(obj: Any, *args: Any) -> Any:
            return getattr(obj._impl, special)(*args)

        return call
