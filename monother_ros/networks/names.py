# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Names of the state entries: ours and those of the official checkpoints.

Files always carry official names. Only the beginnings differ; what follows them is the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

HEAD_MODULES = (
    'conv2',
    'seed_bin_regressor',
    'seed_projector',
    'projectors',
    'attractors',
    'conditional_log_binomial',
)
"""Parts of a metric head; the official names of the RGB branch end in _extra."""

BRANCHES = ('thermal', 'rgb')


def _prefixes() -> dict[str, str]:
    """Own beginning -> official beginning."""
    table = {'confidence.': 'conf_net.'}
    for branch, extra in (('thermal', ''), ('rgb', '_extra')):
        table[f'{branch}.encoder.'] = f'core.core.pretrained{extra}.'
        table[f'{branch}.decoder.'] = f'core.core.depth_head{extra}.'
        for part in HEAD_MODULES:
            table[f'{branch}.head.{part}.'] = f'{part}{extra}.'
    return table


_OFFICIAL = _prefixes()
_OWN = {official: own for own, official in _OFFICIAL.items()}


def official_name(own: str) -> str:
    """
    Official name of an entry of our network.

    :param own: name in the state dict of MonoTherNetwork.
    :returns: the name that files carry.
    :raises KeyError: no entry of the network can be called so.
    """
    return _translate(own, _OFFICIAL)


def own_name(official: str) -> str:
    """
    Our name of an entry of an official checkpoint.

    :param official: name in the file, without a leading 'module.'.
    :returns: name in the state dict of MonoTherNetwork.
    :raises KeyError: no part of the network begins so.
    """
    return _translate(official, _OWN)


def official_state(module: nn.Module, prefix: str = '') -> dict[str, Tensor]:
    """
    State of a network, or of a part of it, under official names.

    :param module: the network, or what is found in it at prefix.
    :param prefix: own name of the part with its dot, as 'thermal.'; empty for the whole network.
    :returns: official name -> tensor, in the order of registration; not copied.
    """
    return {official_name(prefix + key): value for key, value in module.state_dict().items()}


def own_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """
    Entries of an official state under our names; entries that no part of the network has are left.

    :param state: official name -> tensor.
    :returns: own name -> tensor; not copied.
    """
    known = tuple(_OWN)
    return {own_name(key): value for key, value in state.items() if key.startswith(known)}


def _translate(name: str, table: Mapping[str, str]) -> str:
    for start, other in table.items():
        if name.startswith(start):
            return other + name[len(start) :]
    msg = f'{name!r} is no entry of the dual network'
    raise KeyError(msg)
