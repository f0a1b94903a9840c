# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where model bundles are found by name."""

from __future__ import annotations

import os
from pathlib import Path

from monother_ros.core.errors import BundleError
from monother_ros.core.share import share_folders

VARIABLE = 'MONOTHER_MODELS'
"""Environment variable: folders of bundles, searched first, separated as in PATH."""

_MANIFEST = 'model.json'


def model_folders() -> list[Path]:
    """
    Folders that are searched for bundles, best first.

    $MONOTHER_MODELS, then models/ of every :func:`monother_ros.core.share.share_folders`.
    """
    folders = [Path(item) for item in os.environ.get(VARIABLE, '').split(os.pathsep) if item]
    folders += [folder / 'models' for folder in share_folders()]
    return list(dict.fromkeys(folders))


def list_bundles() -> dict[str, Path]:
    """Folder of every bundle that a name finds, by that name."""
    return _known(_MANIFEST)


def find_bundle(name_or_path: str | Path) -> Path:
    """
    Folder of a bundle.

    :param name_or_path: the name of an installed bundle, e.g. 'lite', or a path. A text with a
        path separator, or one that starts with '.' or '~', is always a path; a name is looked for
        in :func:`model_folders` first and then in the working directory.
    :raises BundleError: nothing is there; the message lists what is known.
    """
    return find_model(name_or_path, _MANIFEST, 'model bundle')


def find_model(name_or_path: str | Path, file: str, what: str) -> Path:
    """
    Folder that holds a certain file, of those that belong to models.

    :param name_or_path: as for :func:`find_bundle`.
    :param file: name of the file that makes it one, e.g. 'anchors.npz'.
    :param what: for the message.
    :raises BundleError: nothing is there; the message lists what is known.
    """
    text = os.fspath(name_or_path)
    if not text:
        msg = f'the name of the {what} is empty; give a name or a folder'
        raise BundleError(msg)
    path = Path(text).expanduser()
    explicit = isinstance(name_or_path, Path) or os.sep in text or text.startswith(('.', '~'))
    if not explicit:
        for folder in model_folders():
            if (folder / text / file).is_file():
                return folder / text
    if (path / file).is_file():
        return path
    if explicit and path.exists():
        return path  # whoever reads it says what is wrong with it
    known = ', '.join(sorted(_known(file))) or 'none'
    place = f'no {what} at' if explicit else f'no {what} named'
    plural = 'bundles' if file == _MANIFEST else f'folders with {file}'
    msg = (
        f'there is {place} {text}; known {plural}: {known}. Give the folder of a {what}, or set '
        f'{VARIABLE} to the folder that holds it'
    )
    raise BundleError(msg)


def _known(file: str) -> dict[str, Path]:
    """Folder of everything with such a file, by the name that finds it."""
    found: dict[str, Path] = {}
    for folder in model_folders():
        if folder.is_dir():
            for item in sorted(folder.glob(f'*/{file}')):
                found.setdefault(item.parent.name, item.parent)
    return found
