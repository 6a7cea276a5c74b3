"""`python -m lrcn_sets`."""

import sys

from lrcn_sets.cli import main

if __name__ == "__main__":
    sys.exit(main())
