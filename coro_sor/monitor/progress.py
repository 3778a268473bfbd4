"""One line on the terminal that tells where a solve is, while it runs."""
from __future__ import annotations

import logging
import math
import os
import shutil
import sys
import threading
import time

__all__ = ['LogLines', 'Progress', 'Stand', 'stand_of']

_PAUSE = 0.2        # seconds between two paintings


class Stand:
    """Where a solve is; replaced as a whole, so that any thread may read it at any time.

    Parameters
    ----------
    phase : str
    residual, threshold : float or None
        The reported residual norm and what it must come down to.
    sweeps : (float, float) or None
        Of the slowest and of the fastest block.
    done : float or None
        How far the residual has come from where it started to the threshold, from 0 to 1 on a logarithmic scale.
    """

    def __init__(self, phase, residual=None, threshold=None, sweeps=None, done=None):
        self.phase, self.residual, self.threshold = phase, residual, threshold
        self.sweeps, self.done = sweeps, done

    def text(self, seconds):
        """One line of text, within 80 columns while there are less than ten million sweeps."""
        parts = ['%-10s %6.1f s' % (self.phase, seconds)]
        if self.done is not None:
            parts.append('%2.0f %%' % math.floor(100 * self.done))
        if self.residual is not None:
            parts.append('residual %.1e -> %.1e' % (self.residual, self.threshold))
        if self.sweeps is not None:
            parts.append('sweep %s' % '-'.join(dict.fromkeys('%.0f' % sweep for sweep in self.sweeps)))
        return '  '.join(parts)


def stand_of(record):
    """The `Stand` of a `coro_sor.record.Record`."""
    look = record.looks[-1] if record.looks else {}
    residual, sweeps = look.get('residual_norm'), None
    if 'sweeps' in look:
        sweeps = look['sweeps'], look['sweeps']
    if record.phase == 'iterate' and record.reported is not None:
        _, residual, *sweeps = record.reported
    if residual is None:
        return Stand(record.phase or 'collect')
    return Stand(record.phase or 'collect', residual, record.threshold, sweeps,
                 _done(record.looks[0].get('residual_norm') if record.looks else None, residual, record.threshold))


def _done(first, residual, threshold):
    if not first or not all(0 < norm < math.inf for norm in (first, residual, threshold)) or first <= threshold:
        return None
    return min(max(math.log(first / residual) / math.log(first / threshold), 0.0), 1.0)


class Progress:
    """A context in which a thread paints the line; `observe` goes to the solver.

    Where standard error is no terminal, or ``wanted`` is false, nothing is painted. With rich installed the line is
    rich's, else it is rewritten after a carriage return.

    Parameters
    ----------
    wanted : bool

    Attributes
    ----------
    seconds : dict of str to float
        How long each phase took that was told to `enter`.
    """

    def __init__(self, wanted=True):
        self.seconds = {}
        self._began = self._entered = time.monotonic()
        self._stand, self._phase, self._stopping = Stand('begin'), None, False
        self._line = _make_line(self._paint) if wanted and sys.stderr.isatty() else None

    def __enter__(self):
        if self._line is not None:
            self._line.start()
        return self

    def __exit__(self, *unused):
        self.enter(None)
        if self._line is not None:
            self._line.stop()
            self._line = None

    def enter(self, phase):
        """A phase outside the solver begins; None where the last one ends."""
        now = time.monotonic()
        if self._phase is not None:
            self.seconds[self._phase] = now - self._entered
        self._phase, self._entered = phase, now
        if phase is not None:
            self._stand = Stand(phase)

    def observe(self, record):
        """To be called by the solver; takes microseconds."""
        self._stand = stand_of(record)

    def stop(self):
        """Show that an end was asked for; False where it was before. Fit for a signal handler."""
        first, self._stopping = not self._stopping, True
        return first

    def abandon(self):
        """Leave the terminal usable though the process ends at once. Fit for a signal handler."""
        if self._line is not None:
            os.write(2, b'\r\x1b[K\x1b[?25h')     # erase the line, show the cursor (ECMA-48, DEC)

    def say(self, text):
        """Print a line to standard error, above the line that is being painted."""
        if self._line is None:
            print(text, file=sys.stderr, flush=True)
        else:
            self._line.say(text)

    def _paint(self):
        """The text of now."""
        text = self._stand.text(time.monotonic() - self._began)
        if self._stopping:
            text = 'stopping (Ctrl-C again: at once)  ' + text
        return text


class LogLines(logging.Handler):
    """Log records as lines of a `Progress`.

    Parameters
    ----------
    progress : Progress
    tracebacks : bool
        Whether tracebacks are printed.
    """

    def __init__(self, progress, tracebacks):
        super().__init__()
        self._progress, self._tracebacks = progress, tracebacks

    def emit(self, record):
        """Print one record."""
        try:
            text = self.format(record) if self._tracebacks else record.getMessage()
            self._progress.say(text)
        except Exception:       # logging's own rule: a record that cannot be printed must not end the program
            self.handleError(record)


def _make_line(paint):
    try:
        return _RichLine(paint)
    except ImportError:
        return _PlainLine(paint)


class _RichLine:
    def __init__(self, paint):
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text
        self._paint, self._text, self._console = paint, Text, Console(stderr=True, highlight=False)
        live = Live(get_renderable=self._render, console=self._console, refresh_per_second=1 / _PAUSE, transient=True,
                    redirect_stdout=False, redirect_stderr=False)
        self.start, self.stop = live.start, live.stop

    def _render(self):
        return self._text(self._paint(), no_wrap=True, overflow='ellipsis')

    def say(self, text):
        self._console.print(text, markup=False, soft_wrap=True)


class _PlainLine:
    def __init__(self, paint):
        self._paint = paint
        self._lock, self._end = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, name='progress', daemon=True)

    def start(self):
        self._thread.start()

    def stop(self):
        self._end.set()
        self._thread.join()

    def say(self, text):
        with self._lock:
            self._write(text + '\n')

    def _run(self):
        while not self._end.wait(_PAUSE):
            # A line as wide as the terminal would scroll it at every painting.
            width = shutil.get_terminal_size().columns - 1
            with self._lock:
                self._write(self._paint()[:width])
        with self._lock:
            self._write('')

    def _write(self, text):
        sys.stderr.write('\r\x1b[K' + text)     # back to the first column, and erase the line (ECMA-48)
        sys.stderr.flush()
