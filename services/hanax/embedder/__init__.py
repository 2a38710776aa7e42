"""The embedding service, over gRPC: texts in, vectors out; or a query with texts in, scores out.

A call is checked (`service`) and takes a lease of its model (`model_store`), which is loaded when
it is not there (`model_loader`). Its texts are read into rows (`readings`), wait in the model's
bounded queue (`text_queue`), are put into batches with those of other calls (`batching`), and run
through the model (`backends`) on threads that all models share (`workers`).
"""

import os

# From its import on, ONNX Runtime would report its use to its makers.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
