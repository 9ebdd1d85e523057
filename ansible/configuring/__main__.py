"""Entry point of ../configure. Exit codes: 0 done, 1 failed, 2 input, 124 timed out, 143 stopped."""

import os
import sys


def main() -> int:
    if sys.version_info < (3, 11):
        print(f"configure needs Python 3.11 or newer, this is {sys.version.split()[0]}", file=sys.stderr)
        return 2

    if sys.argv[1:] == ["serve"]:
        from prepared import serve

        return serve()

    from delegate import delegate

    if (code := delegate(os.environ)) is not None:
        return code

    from guard import guarded
    from inputs import InputError, read_inputs
    from run import configure

    try:
        inputs = read_inputs(os.environ)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return guarded(lambda alarm: configure(inputs, alarm))


sys.exit(main())
