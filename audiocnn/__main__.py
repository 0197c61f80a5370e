"""Run the command line as ``python -m audiocnn``."""

import sys

from audiocnn.cli import main

sys.exit(main())
