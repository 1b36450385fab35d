"""`python -m daemon` is `majlis`."""

from daemon.cli import main

if __name__ == "__main__":
    main()
