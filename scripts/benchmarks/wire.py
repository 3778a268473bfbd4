"""`wire`: what the protection of the wire costs a whole solve: in clear, with a keyed hash on each frame, with TLS."""
import contextlib
import json
import os
import subprocess
import sys

from benchmarks.bench import Table, median_of
from coro_sor.addresses import outward_address
from coro_sor.launch import first_line, launch

__all__ = ['add_arguments', 'measure']

PROTECTIONS = ('clear', 'keyed', 'TLS')
EXCHANGES = ('auto', 'messages')
PHASES = ('distribute', 'iterate', 'whole', 'processor')
COLUMNS = [('exchange', 'exchange', '%-10s'), ('protection', 'frames', '%-8s'),
           *[column for phase in PHASES
             for column in ((phase, phase + ', s', '%13.3f'), (phase + ' ratio', '/clear', '%7.3f'))]]


def add_arguments(command):
    """Arguments of this command."""
    command.add_argument('--system', default='random-dense:5000', metavar='SPEC')
    command.add_argument('--rtol', type=float, default=1e-12)
    command.add_argument('--rows', choices=('messages', 'made'), default='messages',
                         help='how workers get their rows: by message, or each makes its own')


def measure(bench):
    """Solve in turn on three nodes of this machine that differ in the protection."""
    address = outward_address()
    if address.startswith('127.'):
        sys.exit('this machine has no address but loopback, where frames carry no keyed hash')
    with contextlib.ExitStack() as stack:
        options = protection_options(bench.folder, address)
        nodes = {name: stack.enter_context(node(address, options[name], bench.folder)) for name in PROTECTIONS}
        rounds = [{'%s %s' % (exchange, name): measure_one(bench, nodes[name], exchange, options[name])
                   for exchange in EXCHANGES for name in PROTECTIONS} for _ in range(bench.chosen.runs)]
    return {'system': bench.chosen.system, 'rounds': rounds, 'lines': _show(bench.chosen, rounds)}


def protection_options(folder, address):
    """Command line options of nodes and solves by protection."""
    script = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'make_certificates.sh')
    subprocess.run([script, '--dir', folder, 'here,' + address], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    files = zip(('--certificate', '--key', '--ca'), ('here.pem', 'here.key', 'ca.pem'))
    tls = [part for name, file in files for part in (name, os.path.join(folder, file))]
    secret_file = os.path.join(folder, 'secret')
    with open(os.open(secret_file, os.O_CREAT | os.O_WRONLY, 0o600), 'w') as file:
        file.write(os.urandom(32).hex())
    return {name: ['--secret-file', secret_file, *more]
            for name, more in zip(PROTECTIONS, (['--insecure'], [], tls))}


@contextlib.contextmanager
def node(address, options, folder):
    """A node with two workers; its ``host:port``."""
    with open(os.path.join(folder, 'log'), 'ab') as log:
        process = launch(['--workers', '2', '--address', address, '--port', '0', *options], stdin=subprocess.DEVNULL,
                         stderr=log)
    try:
        yield first_line(process, 60.0).split()[1]
    finally:
        process.terminate()
        process.wait()


def measure_one(bench, *arguments):
    """Seconds of a solve by phase, and processor seconds of all its processes from start to end."""
    seconds, window = bench.undisturbed(lambda watch: solve(bench, *arguments))
    return dict(seconds, processor=window.used)


def solve(bench, place, exchange, options):
    """Seconds of a solve by phase."""
    report = os.path.join(bench.folder, 'report')
    command = [sys.executable, '-m', 'coro_sor', '-q', '--problem', bench.chosen.system, '--nodes', place, '--rtol',
               repr(bench.chosen.rtol), '--exchange', exchange, '--report', report, *options]
    command += ['--no-local-files'] * (bench.chosen.rows == 'messages')
    subprocess.run(command, check=True, env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)))
    with open(report) as file:
        found = json.load(file)
    seconds = found['seconds']
    return {'distribute': seconds['distribute'], 'iterate': seconds['iterate'] + seconds['verify'],
            'whole': sum(seconds[name] for name in ('start', 'load', 'distribute', 'iterate', 'verify', 'collect')
                         if name in seconds), 'seconds': seconds, 'sweeps': found['sweeps'], 'way': found['schedule']}


def _show(chosen, rounds):
    first = rounds[0]['auto clear']
    print('\n%s, rtol %g, 2 workers, %s, rows: %s (medians of %d runs in turn; ratios of runs of the same round)\n'
          'iterate: with the verification; whole: without reading A; processor: of all processes, with everything\n'
          % (chosen.system, chosen.rtol, first['way'], chosen.rows, len(rounds)))
    table, lines = Table(COLUMNS), []
    for exchange in EXCHANGES:
        for name in PROTECTIONS:
            line = {'exchange': exchange, 'protection': name}
            for phase in PHASES:
                line[phase] = median_of(rounds, lambda each: each['%s %s' % (exchange, name)][phase])
                line[phase + ' ratio'] = median_of(rounds, lambda each: each['%s %s' % (exchange, name)][phase]
                                                   / each['%s clear' % exchange][phase])
            table.show(line)
            lines.append(line)
    return lines
