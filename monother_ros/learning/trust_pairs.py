# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Simulated pairs with true RGB depth, to train the confidence network on.

All scenes, materials, sensor responses and mounts, by day and night and in all weathers: the
network must see RGB pictures whose depth is good and ones whose depth is not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.bundle import Bundle
from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import SettingsError
from monother_ros.core.files import atomic_folder, atomic_write
from monother_ros.learning.online_pair import OnlinePair, PairMaker
from monother_ros.learning.pair_view import STRIDE
from monother_ros.learning.rectify import Rectifier
from monother_ros.learning.rendered import VALIDATION_SEED
from monother_ros.learning.shards import shard_folder
from monother_ros.learning.workers import run_jobs

TRUST_TRAINING_SEED = 200_000
"""First world seed of training pairs."""
TRUST_VALIDATION_SEED = 600_000
"""First world seed of the pairs to watch; they are never trained on."""

_SCENES = ('street', 'farm', 'corridor', 'woods', 'yard')


@dataclass(frozen=True)
class TrustPlan:
    """
    Pairs of simulated worlds; the same plan gives the same bytes.

    :param worlds: number of worlds; scenes in turn, the rest drawn.
    :param first_seed: of the worlds.
    :param frames_per_world: pairs from random places in one world.
    """

    worlds: int
    first_seed: int = TRUST_TRAINING_SEED
    frames_per_world: int = 8

    def __post_init__(self) -> None:
        """Refuse what is empty, and training that reaches the seeds of other data."""
        if min(self.worlds, self.frames_per_world) < 1:
            msg = 'pairs need at least one world and one frame per world'
            raise SettingsError(msg)
        if self.first_seed < VALIDATION_SEED < self.first_seed + self.worlds:
            msg = f'{self.worlds} worlds from {self.first_seed} reach the seeds to watch'
            raise SettingsError(msg)


class TrustWorld(NamedTuple):
    """The conditions of one world."""

    seed: int
    scene: str
    time_of_day: str
    weather: str
    materials: str
    response: str
    mount: str


def trust_world_of(plan: TrustPlan, index: int) -> TrustWorld:
    """
    Conditions of a world: scenes in turn, the rest drawn from its seed.

    :param plan: the pairs.
    :param index: of the world, from 0.
    """
    seed = plan.first_seed + index
    rng = np.random.default_rng([seed, 97])

    def draw(**weights: float) -> str:
        return str(rng.choice(list(weights), p=list(weights.values())))

    return TrustWorld(
        seed,
        _SCENES[index % len(_SCENES)],
        draw(day=0.5, dusk=0.2, night=0.3),
        draw(clear=0.58, fog=0.16, smoke=0.10, rain=0.16),
        draw(temperate=0.34, desert=0.22, winter=0.22, industrial=0.22),
        draw(linear=0.4, black_hot=0.2, equalised=0.15, compressed=0.15, worn=0.1),
        draw(mast=0.5, low=0.25, high=0.25),
    )


def render_trust_world(plan: TrustPlan, index: int, folder: str | Path) -> Path:
    """
    Render the pairs of one world, whole or not at all.

    :param plan: the pairs.
    :param index: of the world.
    :param folder: of all pairs.
    :returns: folder of the world; one that is there already is left as it is.
    """
    from monother_ros.sim.simulator import SimConfig, Simulator

    target = shard_folder(folder, index)
    if target.exists():
        return target
    world = trust_world_of(plan, index)
    simulator = Simulator(SimConfig(**world._asdict()))
    rng = np.random.default_rng([world.seed, 98])
    frames = [
        simulator.training_pair(rng, simulator.rig.rgb) for _ in range(plan.frames_per_world)
    ]
    thermal, rgb, depth = [], [], []
    for frame in frames:
        assert frame.thermal is not None and frame.rgb is not None
        assert frame.rgb_depth is not None
        thermal.append(frame.thermal)
        rgb.append(frame.rgb)
        depth.append(frame.rgb_depth.astype(np.float16))
    rig = {
        'thermal': asdict(simulator.rig.thermal),
        'rgb': asdict(simulator.rig.rgb),
        'extrinsics': simulator.rig.rgb_from_thermal.tolist(),
    }
    with atomic_folder(target) as work:
        np.save(work / 'thermal.npy', np.stack(thermal))
        np.save(work / 'rgb.npy', np.stack(rgb))
        np.save(work / 'depth.npy', np.stack(depth))
        (work / 'rig.json').write_text(json.dumps(rig))
        (work / 'world.json').write_text(json.dumps(world._asdict()))
    return target


def _render(job: tuple[TrustPlan, int, str]) -> None:
    """One job of a worker process."""
    render_trust_world(*job)


def render_trust_pairs(plan: TrustPlan, folder: str | Path, *, workers: int = 2) -> None:
    """
    Render all worlds that are missing; can be stopped at any time and goes on where it was.

    :param plan: what to render.
    :param folder: made where missing.
    :param workers: processes.
    :raises SettingsError: the folder holds pairs of another plan.
    """
    root = Path(folder)
    path = root / 'plan.json'
    kind = {'first_seed': plan.first_seed, 'frames_per_world': plan.frames_per_world}
    if path.exists() and json.loads(path.read_text()) != kind:
        msg = f'{root} holds pairs of another plan; take another folder or delete this one'
        raise SettingsError(msg)
    if not path.exists():
        atomic_write(path, json.dumps(kind) + '\n')
    missing = [i for i in range(plan.worlds) if not shard_folder(root, i).exists()]
    jobs = [(plan, i, str(root)) for i in missing]
    run_jobs(_render, jobs, workers=workers, unit='world', total=plan.worlds)


class TruePair(NamedTuple):
    """A pair as it is learned from on the vehicle, with what is known of it here."""

    pair: OnlinePair
    """the teacher's depth is not known yet"""
    truth: NDArray[np.float32]
    """(h/2, w/2) true depth in the RGB camera on the grid of comparisons, metres; 0 unknown,
    +inf sky"""
    focal: float
    """of the rectified RGB picture, horizontal, pixels"""
    world: TrustWorld


def true_pairs(folder: str | Path, index: int, student: Bundle) -> Iterator[TruePair]:
    """
    Pairs of one world.

    :param folder: of all pairs.
    :param index: of the world.
    :param student: bundle whose input the pairs are for.
    """
    path = shard_folder(folder, index)
    rig = json.loads((path / 'rig.json').read_text())
    world = TrustWorld(**json.loads((path / 'world.json').read_text()))
    thermal_camera, rgb_camera = (
        Intrinsics(**{**rig[name], 'distortion': tuple(rig[name]['distortion'])})
        for name in ('thermal', 'rgb')
    )
    maker = PairMaker(student, thermal_camera, rgb_camera, np.array(rig['extrinsics']))
    width, height = student.input_size
    rectifier = Rectifier(rgb_camera, (width, height))
    rows = np.rint(np.linspace(0, height - 1, height // STRIDE)).astype(np.intp)
    columns = np.rint(np.linspace(0, width - 1, width // STRIDE)).astype(np.intp)
    stacks = [np.load(path / f'{name}.npy') for name in ('thermal', 'rgb', 'depth')]
    for thermal, rgb, depth in zip(*stacks, strict=True):
        maker.reset()
        plain = depth.astype(np.float32)
        truth = rectifier.depth(np.where(np.isinf(plain), np.float32(9000.0), plain))
        truth = np.where(truth > 8000.0, np.float32(np.inf), truth)
        pair = maker(thermal, 0, rgb)
        focal = float(pair.rig.rgb_intrinsics[0, 0])
        yield TruePair(pair, truth[rows[:, None], columns], focal, world)
