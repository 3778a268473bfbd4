"""The command line: options, specs of problems, names of nodes."""
from __future__ import annotations

import contextlib
import io

from coro_sor import addresses, api, arguments
from coro_sor.options import CHOICES
from coro_sor.problems import file_of, make_generator
from coro_sor.solution import InputError

from . import mutation

__all__ = ['TARGETS']

_SPECS = ('poisson2d', 'poisson3d', 'laplace9', 'random-dense', 'gram', 'm-matrix', 'geometric', 'pagerank')
_SIZES = ('1', '2', '3', '12', '0', '-1', '', '007', ' 5', '5 ', '1e3', '2147483648', '46341', '9' * 19, '9' * 20,
          '9' * 5000, '\u0663', '\u00b2', '4:4', 'no/such/file', '/', '.', '1.5', '0x10')
_HOSTS = ('127.0.0.1', '10.0.0.1', 'localhost', '', ' ', ':', '::1', '[::1]', '256.1.1.1', '1', '0', '0x7f.1', 'a' * 70,
          'a..b', '.', '\u00e4', '127.0.0.1.', '-')
_PORTS = ('1', '51347', '65535', '65536', '0', '-1', '', 'x', '\u00b2', '\u0663', '9' * 30, '9' * 5000, '1:2', ' 5')


def _spec(draw):
    return draw.choice(_SPECS) + ':' + draw.choice(_SIZES) if draw.random() < 0.8 else mutation.word(draw)


def _nodes(draw):
    return draw.choice((',', ',', ' ')).join(
        draw.choice(_HOSTS) + (':' + draw.choice(_PORTS) if draw.random() < 0.6 else '')
        for _ in range(draw.choice((1, 1, 2, 3))))


class Settings:
    """A target whose inputs are lists of words, as a shell hands them over."""

    def __init__(self, folder):
        parser = arguments.make_parser()
        self._actions = [action for action in parser._actions if action.option_strings]
        # To make it takes a hundred times as long as to use it.
        arguments.make_parser = lambda: parser
        # Names are not looked up: that would measure the network.
        api.resolve = self._resolve

    @staticmethod
    def _resolve(host):
        getaddrinfo, numeric = addresses.socket.getaddrinfo, addresses.socket.AI_NUMERICHOST
        addresses.socket.getaddrinfo = lambda name, port, *rest: getaddrinfo(name, port, *rest, 0, numeric)
        try:
            return addresses.resolve(host)
        finally:
            addresses.socket.getaddrinfo = getaddrinfo

    def make(self, draw):
        words = draw.choice((['--matrix', 'A.npy', '--rhs', 'b.npy'], ['--problem', _spec(draw)], []))
        for _ in range(draw.choice((0, 1, 1, 2, 3, 6))):
            words = words + self._option(draw)
        if draw.random() < 0.15:
            words.insert(draw.randrange(len(words) + 1), draw.choice(('--', '-', '', '---', '--x', '-vq', '-h', '@x')))
        # A shell cannot hand over a zero byte.
        return [word.replace('\0', '') for word in words]

    def _option(self, draw):
        action = draw.choice(self._actions)
        option = draw.choice(action.option_strings)
        if draw.random() < 0.05:
            option = option[:draw.randint(2, len(option))]
        if action.nargs == 0 and draw.random() < 0.9:
            return [option]
        name = action.dest
        word = draw.choice(CHOICES[name]) if name in CHOICES and draw.random() < 0.8 else _spec(draw) \
            if name == 'problem' else _nodes(draw) if name == 'nodes' else mutation.word(draw)
        return [option + '=' + word] if draw.random() < 0.3 else [option, word]

    def from_bytes(self, data):
        return data.replace(b'\0', b'').decode('utf-8', 'surrogateescape').split('\n')

    def try_(self, made):
        try:
            with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
                chosen = arguments.parse(made)
        except SystemExit as end:
            asked = any(word.startswith(('-h', '--h', '--ve', '-vh', '-qh')) for word in made)
            assert end.code == 2 or (end.code == 0 and asked), 'ended with %r' % (end.code,)
            return False
        try:
            arguments.solver_options(chosen)
            if chosen.nodes is not None:
                api.parse_nodes(chosen.nodes)
            if chosen.problem is not None:
                self._make_problem(chosen.problem)
        except InputError as error:
            assert str(error)
            return False
        return True

    @staticmethod
    def _make_problem(spec):
        """A system that is large on purpose is no find: up to 100 unknowns a side are made."""
        size = spec.partition(':')[2]
        if file_of(spec) is None and size.isascii() and size.isdecimal() and 2 < len(size.lstrip('0')) < 20 \
                and int(size) < 2**31:
            return
        make_generator(spec)


TARGETS = {'options': Settings}
