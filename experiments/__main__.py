"""``python -m goalmaze.experiments``: the command line without its console script."""

import sys

from goalmaze.experiments.cli import main

sys.exit(main())
