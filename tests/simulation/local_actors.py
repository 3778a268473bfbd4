"""Actors that need one process only, and what each returns on every engine.

Run as a program it runs them all on asyncoro and prints what they returned.
"""
from coro_sor.solution import Unreachable

__all__ = ['EXPECTED', 'outcomes']


def echo(engine, count, coro=None):
    for _ in range(count):
        back, message = yield coro.receive()
        back.send(message)
    return True


def sub(coro, value):
    yield coro.sleep(0.001)
    return value


def failing_sub(coro):
    yield coro.sleep(0.001)
    raise KeyError('raised in a called generator')


def talks_to_a_spawned_actor_in_order(engine, coro=None):
    reference = engine.spawn(echo, 5)
    for number in range(5):
        reference.send((coro, number))
    answers = []
    for _ in range(5):
        answers.append((yield coro.receive(timeout=20)))
    return answers


def receives_until_a_timeout(engine, coro=None):
    coro.send('first')
    return [(yield coro.receive(timeout=0.01, alarm_value='none')), (yield coro.receive(timeout=0.01)),
            (yield coro.receive(timeout=0.01, alarm_value='none'))]


def polls(engine, coro=None):
    empty = yield coro.receive(timeout=0, alarm_value='empty')
    coro.send('there')
    return [empty, (yield coro.receive(timeout=0, alarm_value='empty')), (yield coro.receive(timeout=0))]


def sleeps_through_a_message(engine, coro=None):
    coro.send('kept')
    started = engine.now()
    yield coro.sleep(0.05)
    return [engine.now() - started >= 0.05, (yield coro.receive(timeout=0))]


def computes(engine, coro=None):
    values = [(yield engine.compute(divmod, 7, 2)), (yield engine.compute(list)), (yield engine.compute([].sort))]
    for function in (lambda: 1 / 0, lambda: next(iter([]))):
        try:
            yield engine.compute(function)
        except Exception as error:
            values.append(type(error).__name__)
    return values


def calls_generators(engine, coro=None):
    values = []
    for value in (1, 0, False, '', [], ()):
        values.append((yield sub(coro, value)))
        values.append((yield from sub(coro, value)))
    return values


def catches_what_a_generator_raises(engine, coro=None):
    def outer():
        yield failing_sub(coro)
        return True
    try:
        yield outer()
    except KeyError as error:
        return error.args[0]


def delivers(engine, coro=None):
    reference = engine.spawn(echo, 1)
    answers = [(yield reference.deliver((coro, 'hello'), timeout=20)), (yield coro.receive(timeout=20))]
    yield coro.sleep(0.05)
    return answers + [(yield reference.deliver((coro, 'ended'), timeout=20)), reference.send((coro, 'ended'))]


def yields_a_value_to_itself(engine, coro=None):
    return [(yield), (yield 5), (yield [])]


def compares_references(engine, coro=None):
    coro.send(coro)
    me, other = (yield coro.receive()), engine.spawn(echo, 0)
    return [me == coro, {coro: 'me'}[me], other == coro, (me.location.addr, me.location.port) == engine.location]


def starts_an_actor_by_name(engine, coro=None):
    engine.serve('echo', echo)
    reference = yield engine.start(engine.location, 'echo', (1,), 20)
    answer = yield reference.deliver((coro, 'hello'), timeout=20)
    return [answer, (yield coro.receive(timeout=20)), (yield engine.connect(reference.location, 20))]


def serves_a_name_once(engine, coro=None):
    yield coro.sleep(0)
    engine.serve('twice', echo)
    try:
        engine.serve('twice', echo)
    except ValueError:
        return 'refused'


def asks_for_a_name_that_is_not_served(engine, coro=None):
    try:
        yield engine.start(engine.location, 'nobody', (), 0.2)
    except Unreachable:
        return 'unreachable'


def shares_memory(engine, coro=None):
    segment = engine.publish(3)
    seen = engine.attach(segment.name, 3)
    zeros = seen.tolist()
    segment.array[:] = 1, 2, 3
    try:
        seen[0] = 9
    except ValueError:
        zeros.append('read-only')
    of_another_size = engine.attach(segment.name, 4)
    for _ in range(2):
        segment.close()
    closed = engine.attach(segment.name, 3)
    segment.array[0] = 7
    yield coro.sleep(0)
    return zeros + [seen.tolist(), of_another_size, closed]


def waits_in_a_computation(engine, coro=None):
    return [(yield engine.compute(engine.until, lambda: True, 20.0)),
            (yield engine.compute(engine.until, lambda: False, 0.01))]


def sends_from_a_computation(engine, coro=None):
    reference = engine.spawn(echo, 1)
    yield engine.compute(reference.send, (coro, 'hello'))
    return (yield coro.receive(timeout=20))


def fails(engine, coro=None):
    yield coro.sleep(0.001)
    raise LookupError('on purpose')


EXPECTED = {
    talks_to_a_spawned_actor_in_order: [0, 1, 2, 3, 4],
    receives_until_a_timeout: ['first', None, 'none'],
    polls: ['empty', 'there', None],
    sleeps_through_a_message: [True, 'kept'],
    computes: [(3, 1), [], True, 'ZeroDivisionError', 'RuntimeError'],
    calls_generators: [1, 1, 0, 0, False, False, '', '', [], [], (), ()],
    catches_what_a_generator_raises: 'raised in a called generator',
    delivers: [1, 'hello', -1, -1],
    yields_a_value_to_itself: [None, 5, []],
    compares_references: [True, 'me', False, True],
    starts_an_actor_by_name: [1, 'hello', True],
    serves_a_name_once: 'refused',
    asks_for_a_name_that_is_not_served: 'unreachable',
    shares_memory: [0.0, 0.0, 0.0, 'read-only', [7.0, 2.0, 3.0], None, None],
    waits_in_a_computation: [True, True],
    sends_from_a_computation: 'hello',
    fails: "raised LookupError('on purpose')",
}


def outcomes(run):
    """What each of them returned or raised, by its name, when run by ``run(actor)``."""
    results = {}
    for actor in EXPECTED:
        try:
            results[actor.__name__] = run(actor)
        except Exception as error:
            results[actor.__name__] = 'raised %r' % error
    return results


if __name__ == '__main__':
    from coro_sor.runtime.engine import Engine
    print(outcomes(Engine.start_runtime(secret=b'one suite over every engine').run))
