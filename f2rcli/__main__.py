"""`python -m f2rcli`: the same as the `f2r` command."""

from f2rcli.cli.app import main

if __name__ == "__main__":
    main()
