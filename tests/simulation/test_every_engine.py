"""One suite over every engine: the same actors return the same on asyncoro and on the simulator."""
import ast
import os
import pathlib
import subprocess
import sys

import pytest

import local_actors
from coro_sor.simulation import Simulation

ROOT = pathlib.Path(__file__).resolve().parents[2]


def on_asyncoro():
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')]))
    output = subprocess.run([sys.executable, '-W', 'error', local_actors.__file__], check=True, timeout=50,
                            stdout=subprocess.PIPE, env=environment).stdout
    return ast.literal_eval(output.decode())


def in_simulation():
    def run(actor):
        simulation = Simulation(actor.__name__)
        return simulation.run(simulation.machine('only'), actor)
    return local_actors.outcomes(run)


@pytest.fixture(scope='module', params=[on_asyncoro, in_simulation], ids=['asyncoro', 'simulation'])
def outcomes(request):
    return request.param()


@pytest.mark.parametrize('actor', local_actors.EXPECTED, ids=lambda actor: actor.__name__)
def test_an_actor_returns_the_same_on_every_engine(outcomes, actor):
    assert outcomes[actor.__name__] == local_actors.EXPECTED[actor]
