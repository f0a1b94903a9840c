# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A tiny random CLIP text encoder in a folder, with a tokenizer that knows every byte."""

from __future__ import annotations

import json

import pytest

FEATURES = 24


def _letters():
    """The 256 printable characters that stand for bytes in byte-level tokenizers."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    names = {b: chr(b) for b in shown}
    hidden = [b for b in range(256) if b not in names]
    names.update({b: chr(256 + k) for k, b in enumerate(hidden)})
    return [names[b] for b in range(256)]


def make_clip(folder, features=FEATURES, seed=0):
    """Write config.json, model.safetensors, vocab.json and merges.txt; returns the folder."""
    pytest.importorskip('transformers', reason='transformers is not installed')
    import torch
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

    letters = _letters()
    words = [*letters, *(f'{c}</w>' for c in letters)]
    merges = [('c', 'a'), ('ca', 'r</w>'), ('r', 'o'), ('a', 'd</w>'), ('ro', 'ad</w>')]
    words += [a + b for a, b in merges] + ['<|startoftext|>', '<|endoftext|>']
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'vocab.json').write_text(json.dumps({word: k for k, word in enumerate(words)}))
    lines = ['#version: 0.2', *(f'{a} {b}' for a, b in merges), '']
    (folder / 'merges.txt').write_text('\n'.join(lines))
    vocabulary = {word: k for k, word in enumerate(words)}
    CLIPTokenizer(vocab=vocabulary, merges=merges).save_pretrained(folder)
    torch.manual_seed(seed)
    config = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=64,
        projection_dim=features,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=77,
        bos_token_id=len(words) - 2,
        eos_token_id=len(words) - 1,
        pad_token_id=len(words) - 1,
    )
    model = CLIPTextModelWithProjection(config)
    with torch.no_grad():
        for value in model.parameters():
            value.normal_(0, 0.2)
    model.save_pretrained(folder)
    return folder


def make_head(folder, features=FEATURES, sigma=0.4, encoder='', **known):
    """Write a small random language head; returns (folder, head)."""
    import torch

    from monother_ros.networks.language_file import write_language
    from monother_ros.networks.language_scale import HeadLayout, LanguageHead

    torch.manual_seed(4)
    head = LanguageHead(HeadLayout((features, 16, 8), (8, 4, 1)))
    with torch.no_grad():
        for value in head.parameters():
            value.normal_(0, 0.4)
    told = {'text_encoder': str(encoder), 'depth_model': 'lite', 'training': {}, 'metrics': {}}
    write_language(head, folder, sigma=sigma, **{**told, **known})
    return folder, head.eval()
