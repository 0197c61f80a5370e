"""Run the command line as ``python -m audiocnn``."""

import sys

from audiocnn.cli.main import main

if __name__ == "__main__":  # worker processes import this too
    sys.exit(main())
