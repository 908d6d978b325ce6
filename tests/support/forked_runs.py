"""Runs the command as `support.runs` does, in forks of one process that has imported it.

For tests of what a run makes and reports. How a process starts and ends, signals and crashes are
tested with the installed command, in `support.runs`. Short because it is only the choice.
"""

import atexit
import functools

from support.forked import ForkedCommand


def wdsremux(*arguments, env=None, cwd=None):
    """Run the command to its end and return its exit code, stdout and stderr."""
    return _command().run(*arguments, env=env, cwd=cwd)


def convert(source, out, *arguments, code=0, **options):
    """Run `wdsremux convert` and demand its exit code."""
    done = wdsremux("convert", source, out, "--progress", "none", *arguments, **options)
    assert done.returncode == code, done.stderr
    return done


@functools.cache
def _command():
    """Return the process that forks: one for all tests of this process."""
    forked = ForkedCommand()
    atexit.register(forked.__exit__)
    return forked.__enter__()
