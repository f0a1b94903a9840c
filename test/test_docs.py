# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The documentation names nothing that is not there: links, files, commands, arguments, topics."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import runpy
import shlex
import subprocess

import pytest
from docs_text import REPOSITORY, anchors, code, commands, links, pages

PAGES = pages()
ELSEWHERE = ('http://', 'https://', 'mailto:')
LAUNCH = re.compile(r'ros2 launch monother_ros (\S+)(.*)')


def words(command):
    """Words of a command line; None where it is no whole one."""
    try:
        return shlex.split(command)
    except ValueError:
        return None


def strings(file):
    """Every text in a Python file."""
    tree = ast.parse(file.read_text('utf-8'))
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def everywhere(find):
    """What a function finds in the text of each page: (page, finding)."""
    return [(page, found) for page, text in PAGES.items() for found in find(text)]


def test_links_lead_somewhere():
    found = [(p, t) for p, t in everywhere(links) if not t.startswith(ELSEWHERE)]
    broken = []
    for page, target in found:
        path, _, anchor = target.partition('#')
        file = ((REPOSITORY / page).parent / path).resolve() if path else REPOSITORY / page
        if not file.exists() or (anchor and anchor not in anchors(file.read_text('utf-8'))):
            broken.append((page, target))
    assert len(found) > 50 and not broken


def test_every_page_is_reached_from_the_readme():
    seen, todo = set(), ['README.md']
    while todo:
        page = todo.pop()
        if page in seen or page not in PAGES:
            continue
        seen.add(page)
        folder = (REPOSITORY / page).parent
        for target in links(PAGES[page]):
            if not target.startswith(ELSEWHERE):
                file = (folder / target.partition('#')[0]).resolve()
                if file.is_relative_to(REPOSITORY):
                    todo.append(file.relative_to(REPOSITORY).as_posix())
    assert seen == set(PAGES)


def test_generated_pages_are_up_to_date():
    script = runpy.run_path(str(REPOSITORY / 'scripts' / 'write_docs.py'))
    try:
        generated = script['generated']()
    except ModuleNotFoundError as err:
        pytest.skip(f'a verb needs {err.name}, which is not installed')
    assert {'docs/nodes.md', 'docs/commands.md', 'config/depth.yaml'} <= set(generated)
    old = [n for n, text in generated.items() if (REPOSITORY / n).read_text('utf-8') != text]
    assert not old, 'run: python scripts/write_docs.py'


@pytest.fixture(scope='module', name='parsers')
def _parsers():
    from monother_ros.cli.reference import options, parsers

    try:
        return {name: options(parser) for name, parser in parsers()}
    except ModuleNotFoundError as err:
        pytest.skip(f'a verb needs {err.name}, which is not installed')


def test_verbs_and_their_options_exist(parsers):
    wrong, right = [], 0
    for page, command in everywhere(commands):
        found = re.search(r'(?:^|\s)monother ([a-z].*)$', command)
        said = words(found[1]) if found else None
        if not said:
            continue
        right += 1
        name = said[0]
        if ' '.join(said[:2]) in parsers:
            name = ' '.join(said[:2])
        named = {w.partition('=')[0] for w in said if re.match(r'--?[a-z]', w)}
        if name not in parsers or not named <= parsers[name]:
            wrong.append((page, command))
    assert right > 30 and not wrong


def test_reference_has_every_verb_and_option(parsers):
    sections = re.split(r'^##+ monother ', PAGES['docs/commands.md'], flags=re.M)[1:]
    found = {
        part.partition('\n')[0]: set(re.findall(r'--?[a-z][\w-]*', part)) for part in sections
    }
    assert set(found) == set(parsers)
    assert not [n for n, known in parsers.items() if not known - {'-h', '--help'} <= found[n]]


def test_launch_files_and_their_arguments_exist():
    wrong, right = [], 0
    for page, command in everywhere(commands):
        found = LAUNCH.search(command)
        if not found:
            continue
        right += 1
        file = REPOSITORY / 'launch' / found[1]
        # a launch file takes the arguments of those that it includes
        files, known = [file], set()
        while files:
            text = strings(files.pop()) if files[-1].is_file() else set()
            files += [
                file.parent / name
                for name in text
                if name.endswith('.launch.py') and not name.startswith('/') and name not in known
            ]
            known |= text
        named = set(re.findall(r'(\w+):=', found[2]))
        if not file.is_file() or not named <= known:
            wrong.append((page, command, named - known))
    assert right > 8 and not wrong


def test_scripts_and_modules_exist_and_take_the_options():
    wrong, right = [], 0
    for page, command in everywhere(commands):
        found = re.search(r'(?:python3?|bash) (-m )?(\S+)(.*)', command)
        if not found or found[2].startswith('-'):
            continue
        if found[1]:
            file = REPOSITORY / (found[2].replace('.', '/') + '.py')
            if not found[2].startswith('monother_ros'):
                continue
        else:
            file = REPOSITORY / found[2]
        if not re.search(r'\.(py|sh)$', file.name):
            continue
        right += 1
        text = file.read_text('utf-8') if file.is_file() else ''
        named = set() if file.suffix == '.sh' else set(re.findall(r'\s(--[a-z][\w-]*)', found[3]))
        if not file.is_file() or not all(f"'{name}'" in text for name in named):
            wrong.append((page, command))
    assert right > 20 and not wrong


def test_paths_of_the_repository_exist():
    kinds = 'bench|config|docker|docs|launch|models|monother_ros|resource|scripts|test'
    pattern = re.compile(rf'^(?:{kinds})/[\w./-]*\w/?$')
    named = {(page, path) for page, path in everywhere(code) if pattern.match(path)}
    assert len(named) > 10
    assert not {found for found in named if not (REPOSITORY / found[1]).exists()}


def setup_calls():
    tree = ast.parse((REPOSITORY / 'setup.py').read_text('utf-8'))
    (call,) = (
        n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) == 'setup'
    )
    return {k.arg: k.value for k in call.keywords}


def extras():
    """Names of the optional dependencies."""
    return set(ast.literal_eval(setup_calls()['extras_require']))


def executables():
    """What ros2 run finds."""
    scripts = ast.literal_eval(setup_calls()['entry_points'])['console_scripts']
    return {line.partition(' = ')[0] for line in scripts}


def test_extras_and_executables_exist():
    text = ' '.join(piece for _, piece in everywhere(code))
    named = {
        name
        for group in re.findall(r'(?:monother_ros|\.)\[([a-z,-]+)\]', text)
        for name in group.split(',')
    }
    assert named and named <= extras()
    assert {f'`{name}`' for name in extras()} <= set(
        re.findall(r'`[a-z-]+`', PAGES['docs/install.md'])
    ), 'an extra is not explained'
    run = set(re.findall(r'ros2 run monother_ros (\w+)', text))
    assert run and run <= executables()


def test_nodes_services_and_parameters_named_in_commands_exist():
    from monother_ros.nodes.interfaces import NODES
    from monother_ros.ros.parameter_specs import specs

    services = {f'/{node.name}{s.name[1:]}' for node in NODES for s in node.services}
    known = {f'/{node.name}': set(specs(node.kind)) for node in NODES}
    asked = [command for _, command in everywhere(commands)]
    called = [m[1] for c in asked if (m := re.search(r'ros2 service call (\S+)', c))]
    assert called and set(called) <= services
    pattern = re.compile(r'ros2 param (?:set|get) (\S+) (\w+)')
    given = [m.groups() for c in asked if (m := pattern.search(c))]
    assert given
    assert not [pair for pair in given if pair[1] not in known.get(pair[0], ())]


def test_blocks_are_what_their_language_says():
    yaml = pytest.importorskip('yaml', reason='PyYAML is not installed')
    readers = {'python': ast.parse, 'yaml': yaml.safe_load, 'json': json.loads, 'bash': shell}
    blocks = [
        (page, language, content)
        for page, text in PAGES.items()
        for language, content in re.findall(r'^```(\w+)\n(.*?)^```$', text, re.M | re.S)
    ]
    assert len(blocks) > 20 and {language for _, language, _ in blocks} <= set(readers)
    for page, language, content in blocks:
        try:
            readers[language](content)
        except (SyntaxError, yaml.YAMLError, ValueError) as err:
            pytest.fail(f'{page}: {err} in\n{content}')


def shell(script):
    """Parse a shell script."""
    done = subprocess.run(
        ['bash', '-n'], input=script, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ValueError(done.stderr)


def test_sentences_in_troubleshooting_are_said_somewhere():
    """What the first column quotes in code is in the sources, but for words of other programs."""
    others = ('_ARRAY_API', 'numpy.core.multiarray', 'externally-managed', '/diagnostics', 'rviz')
    said = ' '.join(
        text for file in (REPOSITORY / 'monother_ros').rglob('*.py') for text in strings(file)
    )
    rows = re.findall(r'^\| (.*?) \|', PAGES['docs/troubleshooting.md'], re.M)
    quoted = [piece for row in rows for piece in re.findall(r'`([^`]+)`', row)]
    parts = [
        part.strip(' :')
        for piece in quoted
        if not piece.startswith((*others, 'ros2 ', 'depth_node', 'pip '))
        for part in piece.split('…')
    ]
    assert len(parts) > 30
    assert not [part for part in parts if part and part not in said]


def test_the_checks_find_what_is_wrong():
    text = (
        '# One thing\n\n## A `b` (c)\n\n[x](#a-b-c) ![y](z.png "t") `[no](link)`\n\n'
        '```bash\nmonother play \\\n  BAG --loop && true  # [no](link)\n```\n\n    python a.py\n'
    )
    assert anchors(text) == {'one-thing', 'a-b-c'}
    assert links(text) == ['#a-b-c', 'z.png']
    assert commands(text)[:3] == ['monother play BAG --loop', 'true', 'python a.py']
    assert extras() >= {'sim', 'train'} and 'depth_node' in executables()
    assert importlib.util.find_spec('monother_ros') is not None
