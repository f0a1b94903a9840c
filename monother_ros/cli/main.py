# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The monother command: finds the verb and hands over to its module."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from monother_ros import __version__
from monother_ros.core.errors import MonotherError

VERBS = {
    'doctor': 'look at what is installed, chosen and wrong, with advice',
    'demo': 'take a drive through the real nodes and report what came out',
    'sim': 'render a simulated drive into a rosbag2',
    'play': 'publish a recorded bag on real topics',
    'record': 'record topics into a rosbag2',
    'teacher': 'show what a depth teacher says about a picture',
    'pairs': 'show image pairs of a data set with their calibration',
    'train': 'train a depth network by a recipe',
    'convert': 'make a model bundle of a checkpoint of MonoTher-Depth',
    'evaluate': 'measure models on recordings with ground truth',
    'report': 'write a report page of a recorded run',
    'view': 'write a recording of a drive for the Rerun viewer',
    'engine': 'compile a bundle with TensorRT; list, explain or remove what was compiled',
    'quantize': 'make an INT8 bundle, calibrated on a recorded drive',
    'revisions': 'list, use, compare or export what was learned on this vehicle',
}
"""Every verb with its one-line help; the module is monother_ros.cli.<verb>."""

_EXTRAS = {
    'demo': 'sim,report',
    'play': 'bags',
    'record': 'bags',
    'pairs': 'bags',
    'quantize': 'bags,train',
    'convert': 'train',
    'teacher': 'teachers',
}
"""Optional dependencies of a verb, where they are not called as the verb is."""


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run one verb.

    Only the module of the verb that is asked for is imported, so that a depth-only robot needs
    neither torch nor the simulator. Each verb module has add_arguments(parser) and
    run(arguments) -> exit code; arguments.words holds the words of the command line.

    :param argv: command line without the program's name; None takes sys.argv.
    :returns: exit code; 0 on success, 1 on an error that the user can mend, 2 on wrong usage.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog='monother', description=__doc__)
    parser.add_argument('--version', action='version', version=__version__)
    verbs = parser.add_subparsers(dest='verb', metavar='VERB', required=True)
    asked = next((w for w in words if not w.startswith('-')), None)
    module = None
    for verb, text in VERBS.items():
        sub = verbs.add_parser(verb, help=text, description=text.capitalize() + '.')
        if verb == asked:
            try:
                module = importlib.import_module(f'monother_ros.cli.{verb}')
            except ModuleNotFoundError as err:
                extra = _EXTRAS.get(verb, verb)
                print(
                    f'monother {verb}: {err.name} is not installed; '
                    f"pip install 'monother_ros[{extra}]'",
                    file=sys.stderr,
                )
                return 1
            module.add_arguments(sub)
    arguments = parser.parse_args(words, argparse.Namespace(words=words))
    if module is None:
        parser.error('no verb given')
    try:
        return int(module.run(arguments))
    except MonotherError as err:
        print(f'monother {arguments.verb}: {err}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == '__main__':
    sys.exit(main())
