"""The table for a person says what the report says."""
import pytest

from coro_sor.monitor.summary import summary_lines

REPORT = {
    'status': 'converged', 'advice': 'fine', 'n': 9, 'nonzeros': 33, 'schedule': 'async',
    'why_schedule': 'as asked for', 'order': 'cyclic', 'why_order': 'A is sparse', 'convergence': 'proven: so',
    'omega': 1.35, 'omega_used': 1.35, 'residual_norm': 1e-9, 'relative_residual': 1e-9, 'threshold': 1e-8,
    'error': None, 'sweeps': 7.0, 'sweeps_needed': None, 'looks': [], 'seconds': {'load': 0.5}, 'blocks': 2,
    'rows_lowered': 0, 'lowest_omega': 1.35, 'warnings': [], 'notes': [], 'recoveries': [], 'workers': []}


def lines(**changes):
    return summary_lines(dict(REPORT, **changes), 'A.mtx', 1.0)


def line(name, **changes):
    found, = [line for line in lines(**changes) if line.startswith('  %s ' % name)]
    return found.split(None, 1)[1]


def test_omega_is_told_as_it_was_asked_for_where_it_was_used():
    assert line('method') == 'async, omega 1.35' and not any('note' in text for text in lines())


@pytest.mark.parametrize('used, text', [(1.0763456, '1.07635'), (0.675, '0.675')])
def test_another_omega_than_was_asked_for_is_told_and_noted(used, text):
    assert line('method', omega_used=used) == 'async, omega %s instead of 1.35' % text
    assert lines(omega_used=used)[-1].startswith('note: omega 1.35 was lowered to %s on all rows' % text)


def test_rows_whose_omega_was_lowered_are_noted():
    assert lines(rows_lowered=12, lowest_omega=0.97561)[-1].startswith('note: omega was lowered on 12 rows')
    assert '0.9756' in lines(rows_lowered=12, lowest_omega=0.97561)[-1]


def test_before_anything_was_decided_there_is_a_summary_too():
    early = {name: value for name, value in REPORT.items()
             if name not in ('why_schedule', 'order', 'why_order', 'convergence', 'omega_used')}
    found = summary_lines(dict(early, status='cancelled'), 'A.mtx', 1.0)
    assert found[0].startswith('cancelled') and not any('instead' in text for text in found)


def test_workers_that_were_lost_are_told_of_a_few_one_by_one():
    lost = {'seconds': 1.5, 'worker': 1, 'phase': 'iterate', 'reason': 'the worker at h:5 was lost',
            'node': 'n', 'address': 'h:6', 'found_after': 0.5}
    text = '\n'.join(lines(recoveries=[lost] * 7))
    assert text.count('after 1.50 s the worker at h:5 was lost; its rows went to h:6 on node n') == 5
    assert 'and 2 more that were lost' in text
