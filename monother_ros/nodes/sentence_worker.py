# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a sentence to a scale, in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import torch

from monother_ros.core.errors import BundleError, MonotherError
from monother_ros.core.latest import LatestSlot
from monother_ros.core.scale_sources import ScaleEstimate, silent
from monother_ros.networks.language_file import LanguageModel
from monother_ros.networks.text_tower import TextTower, tidy
from monother_ros.ros.diagnostics import ERROR, OK, WARN, Health

SHOWN = 80
"""Characters of a sentence that diagnostics show."""


class Sentence(NamedTuple):
    """What somebody said about the scene."""

    text: str
    stamp_ns: int


class SentenceWorker:
    """
    Encodes the newest sentence and says the scale; older ones that wait are dropped.

    :param model: head and what is known about it.
    :param tower: its text encoder.
    :param publish: called with each estimate, from the worker's thread.
    :raises BundleError: head and text encoder do not belong together.
    """

    def __init__(
        self, model: LanguageModel, tower: TextTower, publish: Callable[[ScaleEstimate], None]
    ) -> None:
        if model.head.features != tower.features:
            msg = (
                f'the language head takes {model.head.features} features, the text encoder '
                f'{tower.name} gives {tower.features}; take the one that it was trained with'
                + (f', {model.text_encoder}' if model.text_encoder else '')
            )
            raise BundleError(msg)
        self._model = model
        self._tower = tower
        self._publish = publish
        self._slot: LatestSlot[Sentence] = LatestSlot()
        self._health = Health(OK, 'no sentence yet; tell one on ~/scene_description')
        self.sentences = 0
        self._thread = threading.Thread(target=self._run, name='language', daemon=True)
        self._thread.start()

    def put(self, sentence: Sentence) -> None:
        """
        Take a sentence; returns at once.

        :param sentence: any text; an empty one takes back what was said before.
        """
        self._slot.put(sentence)

    def stop(self) -> None:
        """End the thread, after the sentence at hand."""
        self._slot.close()
        self._thread.join()

    def health(self) -> Health:
        """How it went with the last sentence."""
        known = {
            'sentences': str(self.sentences),
            'text encoder': self._tower.name,
            'trained for': self._model.depth_model or 'not known',
            'sigma of the head': f'{self._model.sigma:.2f}',
        }
        return Health(self._health.level, self._health.message, {**self._health.values, **known})

    def _run(self) -> None:
        while (sentence := self._slot.take()) is not None:
            self.sentences += 1
            try:
                estimate, health = self._say(sentence)
            except Exception as err:  # nothing that somebody says may end the thread
                reason = str(err) if isinstance(err, MonotherError) else repr(err)
                text = f'the sentence cannot be used: {reason}'
                estimate = silent('language', text, sentence.stamp_ns)
                health = Health(ERROR, text, {'sentence': _shown(sentence.text)})
            self._health = health
            self._publish(estimate)

    def _say(self, sentence: Sentence) -> tuple[ScaleEstimate, Health]:
        """Estimate of one sentence, and how it went."""
        text = tidy(sentence.text)
        if not text:
            estimate = silent('language', 'the last sentence was empty', sentence.stamp_ns)
            return estimate, Health(OK, 'the last sentence was empty: nothing is said')
        begin = time.monotonic()
        encoded = self._tower.encode([sentence.text])
        with torch.inference_mode():
            alpha, beta = (float(v[0]) for v in self._model.head(encoded.features))
        estimate = ScaleEstimate(
            'language', alpha, beta, 'inverse', self._model.sigma, sentence.stamp_ns
        )
        values = {
            'sentence': _shown(text),
            'alpha': f'{alpha:.4f}',
            'beta [1/m]': f'{beta:.5f}',
            'took [ms]': f'{1000 * (time.monotonic() - begin):.0f}',
        }
        if encoded.truncated[0]:
            message = (
                f'the sentence is too long: only its first {self._tower.context} tokens count'
            )
            return estimate, Health(WARN, message, values)
        return estimate, Health(OK, f'1/D = {alpha:.3f}/d + {beta:.4f}', values)


def _shown(text: str) -> str:
    """Beginning of a sentence, for diagnostics."""
    text = tidy(text)
    return text if len(text) <= SHOWN else f'{text[:SHOWN]}…'
