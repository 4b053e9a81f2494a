"""Programs run in this process: as a user runs them, but for starting Python and its imports."""

import contextlib
import io
import runpy
import sys
from subprocess import CompletedProcess
from unittest import mock


def run_script(path, *options):
    """Runs a script with options; where it exits, it raises."""
    with (
        mock.patch.object(sys, "argv", [str(path), *map(str, options)]),
        mock.patch("gc.freeze"),  # here there is more after it
    ):
        runpy.run_path(str(path), run_name="__main__")


def run_here(path, *options):
    """Runs a script with options; gives its exit status and what it says."""
    arguments, status = [str(path), *map(str, options)], 0
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            run_script(path, *options)
        except SystemExit as end:
            status = end.code
            if isinstance(status, str):
                print(status, file=stderr)
                status = 1
    return CompletedProcess(arguments, status, stdout.getvalue(), stderr.getvalue())
