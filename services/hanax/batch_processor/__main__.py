"""`python -m hanax.batch_processor`: the service, set up by HANAX_* variables."""

import sys

from hanax.batch_processor.process import run
from hanax.core.settings import BatchSettings

sys.exit(run(BatchSettings()))
