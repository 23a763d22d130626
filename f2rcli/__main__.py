"""The `f2r` command and `python -m f2rcli`, which are the same."""

import signal


def main() -> None:
    """Run the command line.

    Until that handles signals itself, Ctrl-C ends the process without a word: Python would print
    a traceback of whatever it was importing.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # and not ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from f2rcli.cli.app import main as run  # which takes a while

    run()


if __name__ == "__main__":
    main()
