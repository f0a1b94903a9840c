# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Workflows name only what exists, and files say whose they are; no runner is needed."""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ET

import pytest
from docs_text import REPOSITORY
from test_docs import extras

yaml = pytest.importorskip('yaml', reason='PyYAML is not installed')

WORKFLOWS = sorted((REPOSITORY / '.github' / 'workflows').glob('*.yml'))


def jobs():
    return [
        (file.name, name, job)
        for file in WORKFLOWS
        for name, job in yaml.safe_load(file.read_text('utf-8'))['jobs'].items()
    ]


def commands():
    """Every shell line of every step."""
    return [
        line.strip()
        for _, _, job in jobs()
        for step in job['steps']
        for line in step.get('run', '').splitlines()
    ]


def test_every_job_is_complete():
    names = {file.name for file in WORKFLOWS}
    assert names == {'docs.yml', 'pip.yml', 'ros.yml'}
    for file, name, job in jobs():
        assert job['timeout-minutes'] <= 60 and job['runs-on'], (file, name)
        for step in job['steps']:
            assert ('run' in step) != ('uses' in step), (file, step)
            # a tag of a version, so that nothing changes under us
            assert 'uses' not in step or re.search(r'@v\d+$', step['uses']), (file, step)
    for file in WORKFLOWS:
        # YAML 1.1 reads the key 'on' as true
        content = yaml.safe_load(file.read_text('utf-8'))
        assert {'push', 'pull_request'} <= set(content[True])
        assert content['permissions'] == {'contents': 'read'}


def test_matrices_are_those_that_the_documentation_names():
    found = {(file, name): job.get('strategy', {}).get('matrix') for file, name, job in jobs()}
    assert found['pip.yml', 'test'] == {'python': ['3.10', '3.11', '3.12', '3.13']}
    distributions = ['humble', 'jazzy', 'kilted', 'rolling']
    assert found['ros.yml', 'colcon'] == {'distribution': distributions}


def test_scripts_extras_and_packages_exist():
    text = '\n'.join(commands())
    named = set(re.findall(r'\b((?:scripts|test|bench)/[\w/]+\.(?:sh|py))', text))
    assert 'scripts/test.sh' in named
    assert not [path for path in named if not (REPOSITORY / path).is_file()]
    groups = re.findall(r'(?:monother_ros|\.)\[([a-z,-]+)\]', text)
    assert groups and set(','.join(groups).split(',')) <= extras()
    manifest = ET.parse(REPOSITORY / 'package.xml').getroot()
    packages = set(re.findall(r'--packages-select (\w+)', text))
    assert packages == {manifest.findtext('name')}


def test_shell_of_every_step_parses():
    for _, _, job in jobs():
        for step in job['steps']:
            if 'run' in step:
                # what GitHub fills in is a word to the shell
                script = re.sub(r'\$\{\{.*?\}\}', 'word', step['run'])
                done = subprocess.run(
                    ['bash', '-n'], input=script, capture_output=True, text=True, check=False
                )
                assert done.returncode == 0, (step['name'], done.stderr)


def test_colcon_runs_the_tests_by_pytest():
    """Newer setuptools drop tests_require, and colcon would then find no test at all."""
    assert 'test' in extras()
    assert 'tests_require' not in (REPOSITORY / 'setup.py').read_text('utf-8')


def test_each_source_file_has_copyright_and_licence():
    if not (REPOSITORY / '.git').exists():
        pytest.skip('not a git checkout')
    kinds = ['*.py', '*.sh', 'scripts/*', 'docker/Dockerfile*']
    listed = subprocess.run(
        ['git', 'ls-files', '-z', *kinds],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    missing = []
    for name in filter(None, listed.stdout.split('\0')):
        file = REPOSITORY / name
        if not file.is_file():
            continue  # removed, and not committed yet
        head = file.read_text('utf-8')[:400]
        if not ('SPDX-License-Identifier' in head and 'SPDX-FileCopyrightText' in head):
            missing.append(name)
    assert not missing
