"""What the processes of the engine's tests do when told to (see peer_process)."""
import dataclasses
import os
import resource
import signal
import threading
import time

import numpy as np

from coro_sor.runtime import Engine
from coro_sor.solution import Unreachable

kept = {}       # from one call to the next


@dataclasses.dataclass(frozen=True)
class Slice:
    sender: object
    sweep: int
    values: np.ndarray

    def __post_init__(self):
        if self.sweep < 0:
            raise ValueError('sweep')


MESSAGES = {'Slice': Slice}


# ---- served to other processes

def echo(engine, back, coro=None):
    """Send everything back, until told to stop."""
    while True:
        message = yield coro.receive()
        if isinstance(message, str) and message == 'stop':
            return True
        yield back.deliver(message, timeout=10)


def collect(engine, coro=None):
    """Keep everything; `collected` tells what came."""
    kept['collected'] = []
    while True:
        kept['collected'].append((yield coro.receive()))


def keep(engine, back, reference, coro=None):
    kept['reference'] = reference
    yield back.deliver(True, timeout=10)
    return True


def serve_soon(engine, name, delay, coro=None):
    yield coro.sleep(delay)
    engine.serve(name, echo)
    return True


def fail_at_once(engine, coro=None):
    yield coro.sleep(0)
    raise LookupError('failed on purpose')


SERVED = {'echo': echo, 'collect': collect, 'keep': keep, 'serve_soon': serve_soon, 'fail_at_once': fail_at_once}


# ---- values and exceptions

def answer(engine, value, coro=None):
    yield coro.sleep(0)
    return value


def answers_of_sub_generators(engine, coro=None):
    def sub(value):
        yield coro.sleep(0)
        yield coro.sleep(0.001)
        return value

    values = []
    for value in (1, 0, False, '', (1, 2), [], ()):
        values.append((yield sub(value)) == value)
    return values


def exception_of_a_sub_generator(engine, coro=None):
    def inner():
        yield coro.sleep(0.001)
        raise LookupError('inner')

    def outer():
        return (yield inner())

    try:
        yield outer()
    except LookupError as error:
        return str(error)
    return 'nothing was raised'


def stray_stop_iteration(engine, coro=None):
    yield coro.sleep(0)
    next(iter([]))
    return 'not reached'


def stray_stop_iteration_in_a_sub_generator(engine, coro=None):
    def sub():
        yield coro.sleep(0)
        next(iter([]))
        return 'not reached'

    try:
        yield sub()
    except RuntimeError as error:
        return type(error.__cause__).__name__
    return 'nothing was raised'


def spawn_one_that_fails(engine, coro=None):
    engine.spawn(fail_at_once)
    yield coro.sleep(0.05)
    return True


def compute_values(engine, coro=None):
    first = yield engine.compute(max, 3, 7)
    second = yield engine.compute(list)
    third = yield engine.compute(kept.clear)
    return [first, second, third]


def compute_exception(engine, coro=None):
    def divide(numerator):
        return numerator / 0

    try:
        yield engine.compute(divide, 1)
    except ZeroDivisionError as error:
        trace = error.__traceback__
        while trace.tb_next is not None:
            trace = trace.tb_next
        return trace.tb_frame.f_code.co_name
    return 'nothing was raised'


def compute_stop_iteration(engine, coro=None):
    try:
        yield engine.compute(next, iter([]))
    except RuntimeError as error:
        return type(error.__cause__).__name__
    return 'nothing was raised'


def run_beside_compute(engine, coro=None):
    """The computation ends only when another coroutine has run during it."""
    event = threading.Event()

    def setter(engine, coro=None):
        yield coro.sleep(0.02)
        event.set()
        return True

    engine.spawn(setter)
    return (yield engine.compute(event.wait, 30))


def wait_too_short(engine):
    def for_ever(engine, coro=None):
        return (yield coro.receive())

    task = engine.launch(for_ever)
    try:
        task.wait(0.01)
    except TimeoutError:
        task.reference.send('enough')
        return task.wait()


def interrupted_wait(engine):
    """Ctrl-C leaves `wait` at once; the actor is still there and can be told to end."""
    def for_ever(engine, coro=None):
        yield coro.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)
        return (yield coro.receive())

    task = engine.launch(for_ever)
    try:
        task.wait()
    except KeyboardInterrupt:
        task.reference.send('told to end')
        return task.wait()


def start_again(engine, secret):
    return Engine.start_runtime(secret=secret.encode()) is engine


def leave_actors_behind(engine, how):
    def waiting(engine, coro=None):
        yield coro.receive()

    def computing(engine, coro=None):
        yield engine.compute(time.sleep, 1000)

    def looping(engine, coro=None):
        kept['looping'] = True
        while kept:
            pass
        yield

    task = engine.launch(locals()[how])
    try:
        task.wait(0.1)
    except TimeoutError:
        return True


# ---- between processes

def connect(engine, location, timeout=10, coro=None):
    return (yield engine.connect(tuple(location), timeout))


def disconnect(engine, location):
    engine.disconnect(tuple(location))


def start(engine, location, name, args=(), timeout=10, coro=None):
    kept['reference'] = yield engine.start(tuple(location), name, tuple(args), timeout)
    return True


def introduce_a_collector(engine, location, coro=None):
    """Give the process there, which never connected to this one, a reference."""
    yield engine.start(tuple(location), 'keep', (coro, engine.spawn(collect)), 10)
    return (yield coro.receive(timeout=10))


def deliver(engine, message, timeout=10, coro=None):
    return (yield kept['reference'].deliver(message, timeout=timeout))


def collected(engine):
    return kept['collected']


def echo_of(engine, location, kind, timeout=20, coro=None):
    """Start an echo there and compare what comes back."""
    message = {'text': 'Grüße', 'big': np.arange(float(1 << 20)), 'slice': Slice(coro, 3, np.arange(5.0)),
               'reference': coro,
               'special': [float('nan'), float('inf'), -0.0, 1 << 70, (None, True, b'\0bytes')]}[kind]
    reference = yield engine.start(tuple(location), 'echo', (coro,), timeout)
    ok = yield reference.deliver(message, timeout=timeout)
    back = yield coro.receive(timeout=timeout)
    reference.send('stop')
    if kind == 'big':
        return ok == 1 and np.array_equal(back, message)
    if kind == 'slice':
        return back.sender == coro and hash(back.sender) == hash(coro) and np.array_equal(back.values, message.values)
    return ok == 1 and repr(back) == repr(message)


def sends_in_order(engine, location, count, method, coro=None):
    reference = yield engine.start(tuple(location), 'echo', (coro,), 10)
    for number in range(count):
        if method == 'send':
            reference.send(number)
        elif (yield reference.deliver(number, timeout=10)) != 1:
            return 'not delivered'
    numbers = []
    while len(numbers) < count:
        numbers.append((yield coro.receive(timeout=20)))
    return numbers == list(range(count))


def changed_after_send(engine, location, copy, coro=None):
    """What arrives of an array that is overwritten at once."""
    reference = yield engine.start(tuple(location), 'echo', (coro,), 10)
    array = np.ones(3)
    reference.send(array.copy() if copy else array)
    array[:] = 7
    back = yield coro.receive(timeout=10)
    return back.tolist()


def send_what_cannot_be_sent(engine, location, coro=None):
    reference = yield engine.start(tuple(location), 'echo', (coro,), 10)
    refused = yield reference.deliver({1, 2}, timeout=10)
    too_long = yield reference.deliver(np.zeros(9 << 20), timeout=10)
    accepted = yield reference.deliver('afterwards', timeout=10)
    return [refused, too_long, accepted]


def deliver_to_an_ended_actor_there(engine, location, coro=None):
    reference = yield engine.start(tuple(location), 'echo', (coro,), 10)
    codes = [(yield reference.deliver('first', timeout=10)), (yield reference.deliver('stop', timeout=10))]
    yield coro.receive(timeout=10)
    while (yield reference.deliver('last', timeout=10)) == 1:
        yield coro.sleep(0.01)
    codes.append((yield reference.deliver('last', timeout=10)))
    for _ in range(20):
        yield engine.start(tuple(location), 'collect', (), 10)
        codes.append((yield reference.deliver('last', timeout=10)))
    return codes


def start_what_is_served_later(engine, location, coro=None):
    yield engine.start(tuple(location), 'serve_soon', ('late', 0.3), 10)
    reference = yield engine.start(tuple(location), 'late', (coro,), 20)
    return (yield reference.deliver('x', timeout=10))


def unreachable_text(engine, location, name='echo', timeout=1, coro=None):
    try:
        yield engine.start(tuple(location), name, (coro,), timeout)
    except Unreachable as error:
        return str(error)
    return 'it was reached'


def processor_seconds(engine, seconds):
    """Processor time used while the process does nothing for `seconds`."""
    before = time.process_time()
    time.sleep(seconds)
    return time.process_time() - before


def lower_descriptor_limit(engine, spare):
    used = len(os.listdir('/proc/self/fd'))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + spare, used + spare))


def deliver_zeros(engine, count, coro=None):
    return (yield kept['reference'].deliver(np.zeros(count), timeout=30))
