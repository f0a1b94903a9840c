# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Sentences to features: a CLIP text tower of the transformers library.

RSA was trained with the text tower of CLIP RN50 (1024 features); any CLIP text model with a
projection can be used, with a head that was trained on it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from monother_ros.core.errors import BundleError

LONGEST = 2000
"""Characters of a sentence that are looked at; 77 tokens hardly ever hold more than 600."""

_HUB_NAME = re.compile(r'[\w][\w.-]*/[\w.-]+')


class Encoded(NamedTuple):
    """
    What the tower says.

    :param features: (B, F) float32, not normalised.
    :param truncated: whether each sentence was too long and only its beginning counted.
    """

    features: Tensor
    truncated: list[bool]


def tidy(sentence: str) -> str:
    """
    Sentence as it goes into the tokenizer, in any script.

    White space and control characters become single spaces, halves of surrogate pairs go, and what
    is beyond :data:`LONGEST` characters is cut.

    :param sentence: any text.
    :returns: may be empty.
    """
    text = sentence[: 2 * LONGEST].encode('utf-8', 'ignore').decode('utf-8')
    spaced = ''.join(' ' if unicodedata.category(c) in ('Cc', 'Zl', 'Zp') else c for c in text)
    return ' '.join(spaced.split())[:LONGEST].strip()


class TextTower:
    """
    A frozen text tower.

    :param name: folder or hub name that it came from.
    :param model: CLIPTextModelWithProjection.
    :param tokenizer: of the model.
    :param device: to run on.
    """

    def __init__(self, name: str, model: Any, tokenizer: Any, device: str = 'cpu') -> None:
        self.name = name
        self.device = torch.device(device)
        self.model = model.eval().requires_grad_(False).to(self.device)
        self.tokenizer = tokenizer
        self.context = int(model.config.max_position_embeddings)
        """tokens of a sentence at most, begin and end among them"""
        self.features = int(model.config.projection_dim)
        """numbers that it gives for a sentence"""

    def encode(self, sentences: Sequence[str]) -> Encoded:
        """
        Features of sentences.

        :param sentences: at least one; any length and script, see :func:`tidy`.
        """
        texts = [tidy(sentence) for sentence in sentences]
        tokens = self.tokenizer(texts)['input_ids']
        truncated = [
            len(found) > self.context or len(sentence) > LONGEST
            for found, sentence in zip(tokens, sentences, strict=True)
        ]
        batch = self.tokenizer(
            texts, truncation=True, max_length=self.context, padding=True, return_tensors='pt'
        ).to(self.device)
        # inference tensors could not be trained on
        with torch.no_grad():
            found = self.model(
                input_ids=batch['input_ids'], attention_mask=batch['attention_mask']
            ).text_embeds
        return Encoded(found.float().cpu(), truncated)


def load_text_tower(source: str, device: str = 'cpu', *, download: bool = True) -> TextTower:
    """
    Load a text tower.

    Weights are read from safetensors files only, and no code of a model's repository is run.

    :param source: local folder, or name on the hub such as 'owner/model'.
    :param device: 'cpu', 'cuda' …
    :param download: whether it may come from the hub; False takes local copies only.
    :raises BundleError: transformers is not installed, there is no such model, it is no CLIP model
        with a text projection, or its files are incomplete.
    """
    try:
        from transformers import CLIPTextModelWithProjection, CLIPTokenizer
    except ImportError as err:
        msg = f"transformers cannot be imported ({err}); pip install 'monother_ros[teachers]'"
        raise BundleError(msg) from err
    folder = Path(source).expanduser()
    local = folder.is_dir()
    if not local and (folder.exists() or not _HUB_NAME.fullmatch(source)):
        what = 'is a file' if folder.exists() else 'does not exist'
        msg = (
            f'text encoder {source} {what}; give a folder with config.json, model.safetensors and '
            "the tokenizer's files, or a name on the hub such as 'owner/model'"
        )
        raise BundleError(msg)
    where = str(folder) if local else source
    known: dict[str, Any] = {'local_files_only': local or not download}
    model: Any
    report: Any
    try:
        model, report = CLIPTextModelWithProjection.from_pretrained(
            where, use_safetensors=True, output_loading_info=True, dtype=torch.float32, **known
        )  # type: ignore[misc]
        tokenizer = CLIPTokenizer.from_pretrained(where, **known)
    except Exception as err:  # the library raises whatever its parts raise
        reason = (str(err).strip().splitlines() or [type(err).__name__])[0]
        msg = (
            f'the text encoder {source} cannot be loaded: {reason}; it must be a CLIP model with '
            'config.json, model.safetensors, vocab.json and merges.txt'
        )
        raise BundleError(msg) from err
    missing = sorted(report['missing_keys']) + sorted(map(str, report['mismatched_keys']))
    if missing:
        msg = (
            f'the text encoder {source} is incomplete: {", ".join(missing[:3])} missing or of '
            'another shape; it must be a CLIP model with a text projection'
        )
        raise BundleError(msg)
    # an empty vocabulary (two tokens) is what the library gives where it finds no file
    if len(tokenizer) < 256 or len(tokenizer) > int(model.config.vocab_size):
        msg = (
            f'the tokenizer of {source} knows {len(tokenizer)} tokens, the network '
            f'{model.config.vocab_size}; vocab.json and merges.txt are missing or of another model'
        )
        raise BundleError(msg)
    return TextTower(folder.name if local else source, model, tokenizer, device)
