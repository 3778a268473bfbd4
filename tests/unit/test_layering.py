"""Imports point one way; the actors' world ends at the engine; pure modules stay pure."""
import ast
import pathlib

import pytest

PACKAGE = pathlib.Path(__file__).parents[2] / 'coro_sor'

LAYERS = (
    {'__main__', 'arguments', 'cli', 'service', 'simulation'},
    {'api', 'monitor', 'report'},
    {'worker', 'node', 'block', 'coordinator', 'runtime'},
    {'correspondence', 'losses', 'looking', 'recovering', 'iterating', 'gathering', 'loading', 'loading_owner',
     'neighbours', 'sweeping', 'sweeping_owner', 'refusing_owner', 'stepping', 'reporting', 'directory', 'record',
     'answers'},
    {'planning', 'steering', 'refinement', 'holding', 'incoming', 'outgoing', 'links', 'roster'},
    {'layout', 'scan'},
    {'schedule', 'order', 'convergence', 'relaxation', 'partition', 'wavefront', 'renumbering', 'colouring',
     'arrangement', 'kernels', 'sharing', 'messages', 'owner_messages', 'node_messages', 'message_base'},
    {'problem', 'problems', 'formats', 'csr', 'rows', 'checkpoint'},
    {'options', 'solution', 'refusals', 'secret', 'folders', 'pidfile', 'addresses', 'launch', 'peers'},
)
"""From top to bottom; a module imports from its own layer or from those below."""

PURE = {'schedule', 'order', 'convergence', 'relaxation', 'partition', 'wavefront', 'renumbering', 'colouring',
        'arrangement', 'kernels', 'sharing', 'messages', 'owner_messages', 'node_messages', 'message_base', 'layout',
        'scan', 'planning', 'steering', 'refinement', 'holding', 'incoming', 'outgoing', 'options', 'solution',
        'problem', 'problems', 'rows', 'csr', 'reporting', 'record', 'answers'}

IMPURE = {'asyncoro', 'socket', 'threading', 'time', 'random', 'subprocess', 'multiprocessing', 'select', 'ssl'}

ACTORS = {'block', 'coordinator', 'correspondence', 'losses', 'looking', 'recovering', 'iterating', 'gathering',
          'loading', 'loading_owner', 'neighbours', 'links', 'sweeping', 'sweeping_owner', 'refusing_owner', 'stepping'}


def modules():
    """(name in the package, path) of all of its files."""
    return [('.'.join(path.relative_to(PACKAGE).with_suffix('').parts), path) for path in sorted(PACKAGE.rglob('*.py'))]


def imported(path):
    """(dotted name, line, whether inside a function) of everything that a file imports; coro_sor's from its root."""
    tree = ast.parse(path.read_text(encoding='utf-8'))
    inner = {id(node) for function in ast.walk(tree) if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
             for node in ast.walk(function)}
    package = ('coro_sor',) + path.relative_to(PACKAGE).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, id(node) in inner
        elif isinstance(node, ast.ImportFrom):
            base = package[:len(package) - node.level + 1] if node.level else ()
            name = '.'.join(base + ((node.module,) if node.module else ()))
            for alias in node.names:
                yield name + '.' + alias.name, node.lineno, id(node) in inner


def top(name):
    """The part of the package that a dotted name lies in; None for the package itself and for strangers."""
    parts = name.split('.')
    return parts[1] if parts[0] == 'coro_sor' and len(parts) > 1 and not parts[1].startswith('__version') else None


def layer(part):
    return next(number for number, parts in enumerate(LAYERS) if part in parts)


def test_every_module_has_its_layer():
    parts = {name.split('.')[0] for name, _ in modules()} - {'__init__'}
    assert parts == set().union(*LAYERS)


@pytest.mark.parametrize('name, path', [pair for pair in modules() if pair[0] != '__init__'],
                         ids=lambda part: str(part)[-40:])
def test_a_module_imports_from_its_own_layer_or_below(name, path):
    mine = name.split('.')[0]
    for found, line, _ in imported(path):
        other = top(found)
        if other is not None and other != mine:
            assert layer(mine) <= layer(other), '%s, line %d imports %s' % (path, line, found)


@pytest.mark.parametrize('name, path', modules(), ids=lambda part: str(part)[-40:])
def test_a_module_stays_short_and_narrow(name, path):
    lines = path.read_text(encoding='utf-8').splitlines()
    assert len(lines) <= 350
    assert not ['%s:%d' % (path, number) for number, line in enumerate(lines, 1) if len(line) > 120]


def test_only_the_runtime_imports_asyncoro():
    assert not ['%s:%d' % (path, line) for name, path in modules() if not name.startswith('runtime.')
                for found, line, _ in imported(path) if found.split('.')[0] == 'asyncoro']


def test_runtime_and_simulation_never_import_each_other_and_actors_import_neither():
    for name, path in modules():
        forbidden = {'runtime': {'simulation'}, 'simulation': {'runtime'}}.get(name.split('.')[0], set())
        if name in ACTORS:
            forbidden = {'runtime', 'simulation'}
        assert not [found for found, _, _ in imported(path) if top(found) in forbidden], path


def test_the_pure_modules_and_the_actors_know_no_clock_no_network_no_threads_and_no_global_randomness():
    for name, path in modules():
        if name.split('.')[0] in PURE | ACTORS:
            found = [found for found, _, _ in imported(path) if found.split('.')[0] in IMPURE]
            assert not found, '%s imports %s' % (path, found)
            text = path.read_text(encoding='utf-8')
            assert 'np.random.' not in text.replace('np.random.default_rng(seed)', ''), path


def test_only_scipy_beside_the_required_packages_is_imported_by_what_solves():
    """And lazily: the sparse extra may be missing."""
    for name, path in modules():
        for found, line, inside in imported(path):
            if found.split('.')[0] == 'scipy' and name != 'kernels.sparse':
                assert inside, '%s, line %d' % (path, line)
