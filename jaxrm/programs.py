"""What command lines share: a program's name and its arguments, and mistakes told in one line."""

import difflib
import os
import sys
from collections.abc import Callable, Mapping


def run(programs: Mapping[str, Callable[[list[str]], None]], usage: str, arguments: list[str]) -> int:
    """Runs the program that is named first, with the other arguments.

    A mistake of the caller's (ValueError, OSError) is told on stderr without a traceback, unless
    JAXRM_TRACEBACK is set; other errors are raised.

    Returns:
      The exit status: 0; 2 after a mistake; 130 after Ctrl-C.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage)
        return 0 if arguments else 2
    name, rest = arguments[0], arguments[1:]
    if name not in programs:
        near = difflib.get_close_matches(name, programs, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(programs)}"
        return complain(f"unknown program {name!r}: {hint}")
    try:
        programs[name](rest)
    except (ValueError, OSError) as error:
        if os.environ.get("JAXRM_TRACEBACK"):
            raise
        return complain(str(error))
    except KeyboardInterrupt:
        return 130
    return 0


def complain(message: str, status: int = 2) -> int:
    """Tells a mistake on stderr; returns the exit status."""
    print(f"error: {message}", file=sys.stderr)
    return status
