"""Calling the command line in this process."""

import pytest

from icm_bench.cli import main


def call(arguments, capsys):
    """Exit status, standard output and standard error of one command."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    told = capsys.readouterr()
    return stopped.value.code, told.out, told.err
