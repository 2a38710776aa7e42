"""Run the operator: `python -m hanax_operator`."""

import sys

from hanax_operator.main import main

sys.exit(main())
