"""A second process with an engine, for tests.

Run as a program it starts an engine, serves `engine_actors.SERVED`, prints its location, and then calls functions of
engine_actors as told by JSON lines on its standard input. Imported, it offers `Peer`, the other end of those pipes.
"""
import inspect
import json
import logging
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]


class Failed(Exception):
    """The called function raised; `kind` is the class's name."""

    def __init__(self, kind, text):
        super().__init__('%s: %s' % (kind, text))
        self.kind, self.text = kind, text


class Peer:
    """One such process; its warnings are errors and what it writes to stderr is kept."""

    def __init__(self, port=0, **options):
        self._errors = tempfile.TemporaryFile('w+')
        self.options = options
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(ROOT), str(HERE)]))
        self.process = subprocess.Popen(
            [sys.executable, '-W', 'error', __file__, json.dumps(dict(options, port=port))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True, env=environment)
        self.pid = self.process.pid
        try:
            self.location = self._answer()
        except BaseException:
            self.close()
            raise

    def begin(self, name, *args):
        """Tell it to call ``engine_actors.name(engine, *args)``, as an actor where that is a generator function."""
        print(json.dumps([name, args]), file=self.process.stdin, flush=True)

    def call(self, name, *args):
        """`begin`, and what it returned."""
        self.begin(name, *args)
        return self._answer()

    def result(self):
        """The answer to what was begun."""
        return self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failed('Ended', self.errors())
        kind, value = json.loads(line)
        if kind != 'value':
            raise Failed(kind, value)
        return value

    def errors(self):
        """What it has written to stderr so far."""
        self._errors.seek(0)
        return self._errors.read()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def freeze(self):
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)

    def thaw(self):
        os.kill(self.pid, signal.SIGCONT)

    def leave(self):
        """End it by closing its standard input; returns its exit status."""
        self.process.stdin.close()
        return self.process.wait()

    def close(self):
        if self.process.poll() is None:
            self.kill()
        self.process.stdin.close()
        self.process.stdout.close()
        self._errors.close()


def main():
    """Start the engine and serve until standard input ends."""
    import engine_actors
    from coro_sor.runtime import Engine, TlsFiles, register

    logging.basicConfig(level=logging.INFO)
    options = json.loads(sys.argv[1])
    options['secret'] = options.get('secret', 'a secret').encode()
    if 'tls' in options:
        options['tls'] = TlsFiles(*options['tls'])
    register(engine_actors.MESSAGES)
    engine = Engine.start_runtime(**options)
    for name, actor in engine_actors.SERVED.items():
        engine.serve(name, actor)
    print(json.dumps(['value', engine.location]), flush=True)
    for line in sys.stdin:
        name, args = json.loads(line)
        function = getattr(engine_actors, name)
        try:
            is_actor = inspect.isgeneratorfunction(function)
            answer = 'value', engine.run(function, *args) if is_actor else function(engine, *args)
        except Exception as error:      # whatever it is, the test is told
            answer = type(error).__name__, str(error)
        print(json.dumps(answer), flush=True)


if __name__ == '__main__':
    main()
