# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One exception type per layer, so that a caller can tell what failed without reading text."""


class MonotherError(Exception):
    """Base of every error that this package raises on purpose."""


class CalibrationError(MonotherError):
    """A camera calibration that cannot be used."""


class BundleError(MonotherError):
    """A model bundle that is missing, incomplete, changed or of a newer format."""


class ThermalError(MonotherError):
    """A thermal image that the pipeline cannot take."""


class EngineError(MonotherError):
    """An inference engine that cannot be made or that failed to run."""


class MessageError(MonotherError):
    """A ROS message whose content contradicts its header or is not supported."""


class BagError(MonotherError):
    """A recorded bag that cannot be read or written."""


class SettingsError(MonotherError):
    """A parameter or setting outside of what is allowed."""


class SimulationError(MonotherError):
    """A simulated world that cannot be made as asked."""


class DatasetError(MonotherError):
    """A data set of image pairs that is incomplete or cannot be read."""


class TeacherError(MonotherError):
    """A depth teacher that cannot be loaded, or that cannot take the picture given to it."""


class TrainingError(MonotherError):
    """A training run that cannot go on."""


class AdaptationError(MonotherError):
    """Learning on the vehicle that cannot go on: bad settings, a full disk, a broken memory."""


class ClusterError(MonotherError):
    """Workers for many recordings that cannot be started or reached."""
