"""Which form of the kernels this process runs: AVX-512, or plain loops.

An instruction that the processor lacks does not raise: LLVM ends the process. So the features are
looked at first. HANAX_KERNELS=portable chooses the plain loops on any processor; both forms give
the same results.
"""

from __future__ import annotations

import os

from llvmlite import binding

_NEEDED = ("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vbmi", "avx512vnni")

_features = binding.get_host_cpu_features()

AVX512 = os.environ.get("HANAX_KERNELS") != "portable" and all(_features.get(name) for name in _NEEDED)

FORM = "avx512" if AVX512 else "portable"
