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
    found: dict[str, Path] = {}
    for folder in model_folders():
        if folder.is_dir():
            for manifest in sorted(folder.glob(f'*/{_MANIFEST}')):
                found.setdefault(manifest.parent.name, manifest.parent)
    return found


def find_bundle(name_or_path: str | Path) -> Path:
    """
    Folder of a bundle.

    :param name_or_path: the name of an installed bundle, e.g. 'lite', or a path. A text with a
        path separator, or one that starts with '.' or '~', is always a path; a name is looked for
        in :func:`model_folders` first and then in the working directory.
    :raises BundleError: nothing is there; the message lists what is known.
    """
    text = os.fspath(name_or_path)
    if not text:
        msg = 'the model name is empty; give the name of a bundle or its folder'
        raise BundleError(msg)
    path = Path(text).expanduser()
    explicit = isinstance(name_or_path, Path) or os.sep in text or text.startswith(('.', '~'))
    if not explicit:
        for folder in model_folders():
            if (folder / text / _MANIFEST).is_file():
                return folder / text
    if (path / _MANIFEST).is_file():
        return path
    if explicit and path.exists():
        return path  # load_bundle says what is wrong with it
    known = ', '.join(sorted(list_bundles())) or 'none'
    what = 'no model bundle at' if explicit else 'no model bundle named'
    msg = (
        f'there is {what} {text}; known bundles: {known}. Give the folder of a bundle, or set '
        f'{VARIABLE} to the folder that holds it'
    )
    raise BundleError(msg)
