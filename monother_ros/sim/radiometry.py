# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
From temperatures to detector counts: a band Planck function and its inverse.

A microbolometer's signal over a black body is well described by the form that its maker uses,
S(T) = R / (exp(B / T) - F) + O with T in kelvin; R, B, F, O are calibrated per camera. R / (exp(B
/ T) - F) is proportional to the radiance in the band, so emission, reflection and the air's own
radiance add up in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Planck:
    """
    Response of one camera.

    :param r: gain, counts.
    :param b: spectral constant, K.
    :param f: form constant, about 1.
    :param o: offset, counts.
    """

    r: float = 380747.0
    b: float = 1428.0
    f: float = 1.0
    o: float = -88.5

    def radiance(self, temperature: Array | np.float32) -> Array:
        """
        Signal of a black body without offset; proportional to radiance, so it may be added.

        :param temperature: K, > 0, any shape.
        :returns: counts, float32.
        """
        grown = np.exp(np.float32(self.b) / temperature) - np.float32(self.f)
        return np.asarray(np.float32(self.r) / grown, np.float32)

    def counts(self, temperature: Array) -> Array:
        """
        Counts of a black body.

        :param temperature: K, > 0, any shape.
        :returns: counts, float32, not rounded.
        """
        return np.asarray(self.radiance(temperature) + np.float32(self.o), np.float32)

    def temperature(self, counts: Array) -> Array:
        """
        Temperature of the black body that gives these counts.

        :param counts: above the offset, any shape.
        :returns: K, float32.
        """
        signal = np.asarray(counts, np.float32) - np.float32(self.o)
        ratio = np.log(np.float32(self.r) / signal + np.float32(self.f))
        return np.asarray(np.float32(self.b) / ratio, np.float32)

    def slope(self, temperature: float) -> float:
        """
        Counts per kelvin at a temperature.

        :param temperature: K, > 0.
        """
        e = float(np.exp(self.b / temperature))
        return self.r * self.b * e / (temperature**2 * (e - self.f) ** 2)


def reflectance(cosine: Array, normal_incidence: Array, gloss: Array) -> Array:
    """
    Reflectance growing towards grazing angles (Schlick's form of the Fresnel equations).

    :param cosine: cosine of the angle between ray and surface normal, in [0, 1].
    :param normal_incidence: reflectance at normal incidence, in [0, 1].
    :param gloss: 1 for a polished surface, 0 for one too rough to show the effect.
    :returns: float32 in [0, 1].
    """
    grazing = 1 - cosine
    fifth = grazing * grazing
    fifth = fifth * fifth * grazing
    return normal_incidence + (1 - normal_incidence) * gloss * fifth


def sky_temperature(up: Array, zenith: float, horizon: float) -> Array:
    """
    Apparent temperature of the sky: the slant way through the air grows towards the horizon.

    :param up: sine of the elevation, clipped to [0, 1].
    :param zenith: K.
    :param horizon: K.
    :returns: K, float32.
    """
    rise = np.sqrt(np.clip(up, 0, 1))
    return np.asarray(np.float32(horizon) + np.float32(zenith - horizon) * rise, np.float32)
