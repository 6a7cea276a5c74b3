"""`python -m lrcn`, the same as `lrcn`."""

import sys

from lrcn.cli import main

if __name__ == "__main__":
    sys.exit(main())
