"""`python -m hanax.gateway`: the service, set up by HANAX_* variables."""

import sys

from hanax.gateway.main import main

sys.exit(main())
