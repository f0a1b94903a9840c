# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What an evaluation says, as plain data that goes to JSON and back unchanged.

An :class:`Evaluation` is what :func:`.merge.merge` makes of the results of single units (one
recording with one model). It holds nothing that differs from run to run: the command, the machine
and the time it took are in :attr:`Evaluation.environment`, which merge leaves empty.
"""

from __future__ import annotations

import contextlib
import json
import math
import types
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from monother_ros.core.errors import SettingsError
from monother_ros.core.files import atomic_write
from monother_ros.core.parsing import parse_json

FORMAT = 1
"""Version of the JSON."""

RESULTS = 'evaluation.json'
"""Name of the file in the output folder."""

PICTURES = 'frames'
"""Name of the folder of the kept frames in the output folder; see :class:`ChosenFrame`."""

ALL = ''
"""Name of the group of all conditions together."""

T = TypeVar('T')


@dataclass(frozen=True)
class Estimate:
    """
    Mean over frames with its confidence interval.

    :param mean: arithmetic mean of the per-image values; None where no frame has one.
    :param low: lower end of the interval; None where it cannot be told (fewer than four blocks).
    :param high: upper end.
    :param frames: how many frames counted.
    """

    mean: float | None
    low: float | None
    high: float | None
    frames: int


@dataclass(frozen=True)
class RangeBin:
    """
    Pixels whose ground truth lies in one range of distance.

    :param near: m, included. :param far: m, excluded.
    :param pixels: in all frames together.
    :param metrics: by name: abs_rel, rmse, d1, bias (mean of ln p - ln g).
    """

    near: float
    far: float
    pixels: int
    metrics: dict[str, Estimate]


@dataclass(frozen=True)
class RiskCoverage:
    """
    Error of the pixels that are kept when the least trusted ones are dropped.

    Mean over frames of the curve of each frame.

    :param dropped: part of the pixels that is dropped, 0 to less than 1; coverage is 1 - dropped.
    :param by_confidence: mean |g - p| / g of what is left when dropping by confidence.
    :param oracle: the same when dropping by the true error.
    :param random: the same when dropping at random: mean error, one number.
    """

    dropped: list[float]
    by_confidence: list[float]
    oracle: list[float]
    random: float


@dataclass(frozen=True)
class Calibration:
    """
    What a confidence promises and what is true, over the pixels of all frames together.

    :param confidence: mean confidence of each of ten steps.
    :param within: part of these pixels whose depth is within 25 % (δ1).
    :param part: part of all pixels in the step.
    :param error: mean |confidence - within|, weighted by part.
    """

    confidence: list[float]
    within: list[float]
    part: list[float]
    error: float


@dataclass(frozen=True)
class Group:
    """
    One model under one condition.

    :param model: its label, see :class:`Model`.
    :param condition: ALL (empty) for everything together.
    :param frames: number of scored frames.
    :param metrics: by name, see :data:`.metric_names.METRICS`.
    :param bins: per range of distance, near to far, empty ones left out.
    :param risk: None without a confidence.
    :param calibration: None without a confidence.
    """

    model: str
    condition: str
    frames: int
    metrics: dict[str, Estimate]
    bins: list[RangeBin]
    risk: RiskCoverage | None = None
    calibration: Calibration | None = None


@dataclass(frozen=True)
class Difference:
    """
    Two models on the same frames.

    :param a: label of the model that is the base of the comparison.
    :param b: label of the other model.
    :param condition: ALL (empty) for everything together.
    :param metrics: value of b minus value of a, mean over the frames that both have scored.
    :param certain: by metric: 'a' or 'b' where the interval leaves out 0 and that model is better;
        '' where nothing can be said.
    """

    a: str
    b: str
    condition: str
    metrics: dict[str, Estimate]
    certain: dict[str, str]


@dataclass(frozen=True)
class Series:
    """
    Values over the time of one recording with one model, thinned to at most some hundred points.

    :param model: label. :param recording: name.
    :param time: s since the first frame of the recording.
    :param condition: of each point.
    :param values: by name, of each point: abs_rel, scale (factor that the depth lacks),
        flicker, confidence; None where there is none. Each point is the mean of its frames.
    """

    model: str
    recording: str
    time: list[float]
    condition: list[str]
    values: dict[str, list[float | None]]


@dataclass(frozen=True)
class Drift:
    """
    How the scale of the depth behaves over the time of one recording.

    The scale of a frame is s = median of g / p. All are of ln s, so 0.01 is about 1 %.

    :param model: label. :param recording: name.
    :param bias: mean of ln s.
    :param slope: change of ln s per minute, least squares; None with less than 10 s.
    :param wander: standard deviation of the means of 10 s: what moves slowly.
    :param jitter: standard deviation of the step from frame to frame over sqrt(2): what trembles.
    """

    model: str
    recording: str
    bias: float | None
    slope: float | None
    wander: float | None
    jitter: float | None


@dataclass(frozen=True)
class ChosenFrame:
    """
    A frame worth looking at; all models have a picture of it.

    :param kind: best, median or worst AbsRel of the first model under this condition.
    :param condition: of the frame.
    :param recording: name.
    :param index: number of the frame in the recording.
    :param time: s since the first frame of the recording.
    :param abs_rel: by label of the model.
    :param pictures: by label of the model: key in :attr:`Evaluation.pictures`.
    """

    kind: str
    condition: str
    recording: str
    index: int
    time: float
    abs_rel: dict[str, float]
    pictures: dict[str, str]


@dataclass(frozen=True)
class Model:
    """
    A model bundle.

    :param label: unique name in tables: name, and revision where names are equal.
    :param name: of the bundle. :param revision: of the bundle. :param digest: of its manifest.
    :param engine: kind of engine that ran it, such as onnxruntime.
    :param points: whether it was given the points of a range sensor.
    """

    label: str
    name: str
    revision: str
    digest: str
    engine: str
    points: bool = False


@dataclass(frozen=True)
class RecordingFacts:
    """
    A recording.

    :param name: unique among the recordings. :param source: as it was given.
    :param kind: bag, ms2, vivid, folder or sim.
    :param truth: what the ground truth is, for people.
    :param frames: thermal frames in it.
    :param scored: by label of the model, how many frames were scored.
    :param skipped: by label of the model, how many were not, by reason.
    :param seconds: from the first frame to the last one.
    :param notes: for people.
    """

    name: str
    source: str
    kind: str
    truth: str
    frames: int
    scored: dict[str, int]
    skipped: dict[str, dict[str, int]]
    seconds: float
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Evaluation:
    """
    Everything that an evaluation says.

    :param settings: see :class:`.settings.EvaluationSettings`.
    :param models: in the order of the command line; the first is the base of comparisons.
    :param recordings: in the order of the command line.
    :param conditions: names in the order of their first frame.
    :param groups: for each model ALL first, then its conditions.
    :param differences: of every later model to the first one: ALL, then the conditions.
    :param series: per model and recording.
    :param drift: per model and recording.
    :param chosen: best, median and worst frame per condition.
    :param notes: what a reader must know.
    :param environment: command, versions, machine, times; left empty by merge.
    :param pictures: compressed content of the chosen frames by key, see :mod:`.pictures`; not in
        the JSON but in the folder PICTURES.
    """

    settings: dict[str, Any]
    models: list[Model]
    recordings: list[RecordingFacts]
    conditions: list[str]
    groups: list[Group]
    differences: list[Difference]
    series: list[Series]
    drift: list[Drift]
    chosen: list[ChosenFrame]
    notes: list[str] = field(default_factory=list)
    environment: dict[str, Any] = field(default_factory=dict)
    pictures: dict[str, bytes] = field(default_factory=dict, compare=False, repr=False)

    def group(self, model: str, condition: str = ALL) -> Group | None:
        """
        Group of a model and condition, None where there is none.

        :param model: label. :param condition: name, ALL for everything.
        """
        found = (g for g in self.groups if (g.model, g.condition) == (model, condition))
        return next(found, None)

    def to_dict(self) -> dict[str, Any]:
        """Content of the JSON file: plain values, no NaN, no pictures."""
        content = asdict(self)
        del content['pictures']
        return {'format': FORMAT, **_plain(content)}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Evaluation:
        """
        Read what :meth:`to_dict` wrote; pictures are not in it.

        :param content: of the JSON file.
        :raises SettingsError: it is of another format, or something is missing.
        """
        if not isinstance(content, dict) or content.get('format') != FORMAT:
            found = content.get('format') if isinstance(content, dict) else type(content).__name__
            msg = f'this is no evaluation of format {FORMAT}: it says {found!r}'
            raise SettingsError(msg)
        return _build(cls, {k: v for k, v in content.items() if k != 'format'}, 'evaluation')

    def json(self) -> str:
        """Text of the JSON file; equal evaluations have equal texts."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False) + '\n'

    def save(self, folder: str | Path) -> Path:
        """
        Write the JSON file and the pictures.

        :param folder: made where missing.
        :returns: path of the JSON file.
        :raises OSError: the folder cannot be written.
        """
        for key, data in self.pictures.items():
            atomic_write(Path(folder) / PICTURES / f'{key}.npz', data)
        return atomic_write(Path(folder) / RESULTS, self.json())


def load_evaluation(path: str | Path) -> Evaluation:
    """
    Read an evaluation that was saved.

    :param path: the folder, or the JSON file in it.
    :raises SettingsError: there is none, or it cannot be read.
    """
    target = Path(path) / RESULTS if Path(path).is_dir() else Path(path)
    try:
        content = parse_json(target.read_text(encoding='utf-8'))
    except (OSError, ValueError) as err:
        msg = f'{target} cannot be read: {err}; give the output folder of monother evaluate'
        raise SettingsError(msg) from err
    evaluation = Evaluation.from_dict(content)
    for frame in evaluation.chosen:
        for key in frame.pictures.values():
            file = target.parent / PICTURES / f'{key}.npz'
            # a name that no file can have is that of a picture that is not there
            with contextlib.suppress(OSError, ValueError):
                evaluation.pictures[key] = file.read_bytes()
    return evaluation


def _plain(value: Any) -> Any:
    """Value for JSON: numbers that are not finite become None."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def _build(kind: type[T], value: Any, where: str) -> T:
    """Value of a type from plain data."""
    origin, arguments = get_origin(kind), get_args(kind)
    result: Any = value
    if origin in (Union, types.UnionType):
        inner = next(a for a in arguments if a is not type(None))
        result = None if value is None else _build(inner, value, where)
    elif is_dataclass(kind):
        hints = get_type_hints(kind)
        names = {f.name for f in fields(kind)}
        try:
            given = {k: _build(hints[k], v, f'{where}.{k}') for k, v in value.items()}
            result = kind(**given)
        except (AttributeError, KeyError, TypeError) as err:
            msg = f'{where} does not fit: {err}; it has {", ".join(sorted(names))}'
            raise SettingsError(msg) from err
    elif origin is list:
        result = [_build(arguments[0], item, where) for item in value]
    elif origin is dict and arguments[1] is not Any:
        result = {k: _build(arguments[1], item, where) for k, item in value.items()}
    return cast('T', result)
