"""The embedding service: texts in, vectors out, over gRPC.

A call is checked (`service`), its texts wait in a bounded queue (`text_queue`), are put into
batches with those of other calls (`batching`), and run through the model (`backends`) on one
worker thread.
"""
