"""python -m hanax.index_shard"""

from __future__ import annotations

import sys

from hanax.core.settings import ShardSettings
from hanax.index_shard.process import run

if __name__ == "__main__":
    sys.exit(run(ShardSettings()))
