"""`python -m train policy|eval|clip ...`"""

import contextlib
import io
import sys

with contextlib.redirect_stdout(io.StringIO()):  # MJX prints a line for each optional package it misses
    from train.cli import main

sys.exit(main(sys.argv[1:]))
