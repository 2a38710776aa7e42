"""`python -m hanax.embedder`: the service, set up by HANAX_* variables."""

import sys

from hanax.embedder.main import main

sys.exit(main())
