"""A process that asks a node's directory and prints what it is told: node_client.py ADDRESS PORT MY_ADDRESS SECRET_FILE

Each message it receives is one line of JSON. After the first, a line on its standard input ends it with a Goodbye.
"""
import dataclasses
import json
import os
import sys
import threading

from coro_sor.node_messages import MESSAGES, Goodbye
from coro_sor.runtime import codec
from coro_sor.runtime.engine import Engine
from coro_sor.secret import load_secret


def client(engine, location, coro=None):
    directory = yield engine.start(location, 'directory', (coro, 7, 6.0), 20.0)
    message = yield coro.receive()
    threading.Thread(target=end_with_stdin, args=(coro,), daemon=True).start()
    while message != 'end':
        print(json.dumps([type(message).__name__, dataclasses.asdict(message)]), flush=True)
        message = yield coro.receive()
    return (yield directory.deliver(Goodbye(), timeout=5.0))


def end_with_stdin(coro):
    sys.stdin.readline()
    coro.send('end')


if __name__ == '__main__':
    address, port, own_address, secret_file = sys.argv[1:]
    codec.register(MESSAGES)
    engine = Engine.start_runtime(own_address, 0, secret=load_secret(secret_file))
    status = engine.run(client, (address, int(port)))
    sys.stdout.flush()
    os._exit(0 if status == 1 else 1)
