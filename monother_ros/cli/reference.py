# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every verb with its arguments, from the parsers themselves: docs/commands.md and its checks."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator

from monother_ros.cli.main import VERBS


def parsers() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """
    Parser of each verb and of each of its sub-commands.

    :returns: ('play', parser), …, ('engine build', parser); verbs in the order of ``--help``.
    :raises ModuleNotFoundError: what a verb needs is not installed.
    """
    for verb, text in VERBS.items():
        parser = argparse.ArgumentParser(prog=f'monother {verb}', description=text)
        importlib.import_module(f'monother_ros.cli.{verb}').add_arguments(parser)
        yield verb, parser
        for name, sub in _subparsers(parser):
            yield f'{verb} {name}', sub


def _subparsers(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {a.dest: a.help for a in action._choices_actions}
            for name, sub in action.choices.items():
                sub.description = sub.description or helps.get(name)
                yield name, sub


def options(parser: argparse.ArgumentParser) -> set[str]:
    """Every option string that a parser takes, for instance '--out' and '-o'."""
    return {name for action in parser._actions for name in action.option_strings}


def commands_markdown() -> str:
    """Content of docs/commands.md: each verb with a table of its arguments."""
    lines = [
        '# Commands',
        '',
        'Every verb of `monother` with its arguments, written by `python scripts/write_docs.py` '
        'from the parsers; `monother VERB --help` says the same. A verb whose optional '
        'dependencies are missing says which extra to install.',
        '',
        'Exit codes: 0 done, 1 an error that you can mend (said in one sentence), 2 wrong usage, '
        '130 interrupted.',
    ]
    for name, parser in parsers():
        description = ' '.join((parser.description or '').split()).rstrip('.')
        level = '##' if ' ' not in name else '###'
        lines += ['', f'{level} monother {name}', '', f'{_capital(description)}.']
        rows = [_row(a, parser) for a in parser._actions if _shown(a)]
        if rows:
            lines += ['', '| Argument | |', '|---|---|', *rows]
    return '\n'.join(lines) + '\n'


def _capital(text: str) -> str:
    """First letter as a capital; the rest as it is."""
    return text[:1].upper() + text[1:]


def _shown(action: argparse.Action) -> bool:
    return (
        action.help != argparse.SUPPRESS
        and not isinstance(action, argparse._SubParsersAction)
        and '--help' not in action.option_strings
    )


def _row(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    """Row of the table: the argument as it is typed, and its help with the choices."""
    # as the usage line has it, without what differs between versions of Python
    value = _value(action)
    if action.option_strings:
        typed = ', '.join(action.option_strings) + (f' {value}' if value else '')
    else:
        typed = value
    text = ' '.join((action.help or '').split()).replace('%%', '%')
    text = text.replace('%(default)s', str(action.default)).replace('%(prog)s', parser.prog)
    default = action.default
    told = isinstance(default, (int, float, str)) and not isinstance(default, bool)
    if told and default != '' and 'default' not in text and default != argparse.SUPPRESS:
        text += f' (default {default})'
    if action.required and action.option_strings:
        text += ' (required)'
    typed, text = (part.replace('|', '\\|') for part in (typed, text.strip()))
    return f'| `{typed}` | {text} |'


def _value(action: argparse.Action) -> str:
    """The value of an argument in words; empty for a switch."""
    if action.nargs == 0:
        return ''
    metavar = action.metavar or (action.dest if not action.option_strings else action.dest.upper())
    if isinstance(metavar, tuple):
        return ' '.join(metavar)
    if action.choices is not None and action.metavar is None:
        metavar = '{' + ','.join(map(str, action.choices)) + '}'
    many = {'?': f'[{metavar}]', '*': f'[{metavar} …]', '+': f'{metavar} …'}
    if isinstance(action.nargs, int):
        return ' '.join([metavar] * action.nargs)
    return many.get(str(action.nargs), metavar)
