"""A finished solve as a short table for a person."""
from __future__ import annotations

__all__ = ['summary_lines']

_MOST_WORKERS = 16      # lines of the table of workers; the rest is in the report
_MOST_LOSSES = 5        # lines on workers that were lost

_COLUMNS = ('worker', 'rows', 'nonzeros', 'sweeps', 'computing', 'waiting', 'exchanging', 'exchanges', 'staleness',
            'memory')


def summary_lines(report, system, total, verbose=False):
    """Lines of text.

    Parameters
    ----------
    report : dict
        As `coro_sor.report.make_report` makes it.
    system : str
        What to call it: the name of A's file, or the spec of a well-known one.
    total : float
        Seconds that everything took.
    verbose : bool
        Whether all looks are listed.
    """
    lines = ['%s: %s' % (report['status'], report['advice'])]
    facts = [('system', '%s, n = %d, %d nonzeros' % (system, report['n'], report['nonzeros'])),
             ('method', _method(report))]
    if report.get('why_schedule'):
        facts += [('schedule', '%s: %s' % (report['schedule'], report['why_schedule'])),
                  ('order', '%s: %s' % (report['order'], report['why_order'])), ('converges', report['convergence'])]
    facts.append(('residual', _residual(report)))
    if report['error'] is not None:
        facts.append(('error', _error(report['error'])))
    facts += [('sweeps', _sweeps(report)), ('seconds', _seconds(report['seconds'], total))]
    lines += ['  %-9s %s' % fact for fact in facts]
    if report['workers']:
        lines += ['', *_workers(report['workers'])]
    if verbose and report['looks']:
        lines += ['', *_looks(report['looks'])]
    remarks = [('warning', text) for text in report['warnings']] + [('note', text) for text in report['notes']]
    remarks += _losses(report['recoveries'])
    if _other_omega(report):
        remarks.append(('note', 'omega %g was lowered to %.6g on all rows, to be safe'
                        % (report['omega'], report['omega_used'])))
    if report['rows_lowered']:
        remarks.append(('note', 'omega was lowered on %d rows at block boundaries, down to %.4g, to be safe there'
                        % (report['rows_lowered'], report['lowest_omega'])))
    return lines + (remarks and ['']) + ['%s: %s' % remark for remark in remarks]


def _method(report):
    workers = len(report['workers'])
    text = '%s, omega %g' % (report['schedule'], report['omega'])
    if _other_omega(report):
        text = '%s, omega %.6g instead of %g' % (report['schedule'], report['omega_used'], report['omega'])
    if workers:
        text += ', %s on %s' % (_count(report['blocks'], 'block'), _count(workers, 'worker'))
    return text


def _other_omega(report):
    """Whether another omega was used than was asked for; not so before anything was decided."""
    return report.get('omega_used', report['omega']) != report['omega']


def _count(number, thing):
    return '%d %s%s' % (number, thing, '' if number == 1 else 's')


def _residual(report):
    norm, threshold = report['residual_norm'], report['threshold']
    if norm is None:
        limit = '' if threshold is None else '; threshold %.3e' % threshold
        return 'not known: %s%s' % (report.get('residual_reason', 'it is not finite'), limit)
    text = '%.3e %s threshold %.3e' % (norm, '<=' if norm <= threshold else '>', threshold)
    relative = report['relative_residual']
    return text if relative is None else text + ' (relative to b: %.3e)' % relative


def _error(error):
    text = '%.3e' % error['norm']
    if error['relative'] is not None:
        text += ', relative to x*: %.3e' % error['relative']
    return text + ', largest entry %.3e' % error['largest'] if error['largest'] is not None else text


def _sweeps(report):
    text = '%.6g' % report['sweeps']
    if report['sweeps_needed'] is not None:
        text += ', of which %.6g were needed' % report['sweeps_needed']
    return text + ', looked at the true residual %s' % _count(len(report['looks']), 'time')


def _seconds(seconds, total):
    told = [item for item in seconds.items() if item[0] != 'recover' or item[1]]
    return '%.2f (%s)' % (total, ', '.join('%s %.2f' % item for item in told))


def _losses(recoveries):
    remarks = [('note', '%s%s; its rows went to %s on node %s' % (
        '' if lost['seconds'] is None else 'after %.2f s ' % max(0.0, lost['seconds']), lost['reason'],
        lost['address'], lost['node'])) for lost in recoveries[:_MOST_LOSSES]]
    more = len(recoveries) - len(remarks)
    return remarks + [('note', 'and %d more that were lost: see the report' % more)] * bool(more)


def _workers(workers):
    rows = [_COLUMNS] + [_worker(worker) for worker in workers[:_MOST_WORKERS]]
    lines = _aligned(rows)
    if len(workers) > _MOST_WORKERS:
        lines.append('  and %d more: see the report' % (len(workers) - _MOST_WORKERS))
    return lines


def _worker(worker):
    name = '%s %s' % (worker['node'], worker['address'].rpartition(':')[2])
    if 'rows' not in worker:
        return (name + ' (no last words)',) + ('-',) * (len(_COLUMNS) - 1)
    staleness = '-'
    if worker.get('mean_staleness') is not None:
        staleness = '%.1f, max %.0f' % (worker['mean_staleness'], worker['largest_staleness'])
    return (name, '%d' % worker['rows'], '%d' % worker['nonzeros'], '%.6g' % worker['sweeps'],
            '%.2f s' % worker['seconds_computing'], '%.2f s' % worker['seconds_waiting'],
            '%.2f s' % worker['seconds_exchanging'], _exchanges(worker), staleness, _size(worker['peak_memory']))


def _exchanges(worker):
    """How often a sweep values were sent, and how."""
    if not worker['slices_sent']:
        return '-'
    ways = [name for name, used in (('memory', worker['neighbours_shared']), ('messages', worker['neighbours'] -
                                                                              worker['neighbours_shared'])) if used]
    rate = worker['slices_sent'] / max(1.0, worker['sweeps']) / worker['neighbours']
    return '%.3g a sweep by %s' % (rate, ' and '.join(ways))


def _size(count):
    if count is None:
        return '-'
    return '%.1f MB' % (count / 1e6) if count >= 1e6 else '%.1f kB' % (count / 1e3)


def _looks(looks):
    rows = [('look after', 'sweeps', 'reported', 'residual', 'found')]
    for look in looks:
        rows.append(('%.2f s' % look['seconds'], _number(look.get('sweeps'), '%.6g'), _number(look.get('reported')),
                     _number(look.get('residual_norm')), look['found']))
    return _aligned(rows)


def _number(value, form='%.3e'):
    return '-' if value is None else form % value


def _aligned(rows):
    """The rows of a table as lines: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [('  ' + '  '.join(cell.rjust(width) if index else cell.ljust(width)
                              for index, (cell, width) in enumerate(zip(row, widths)))).rstrip() for row in rows]
