"""Stubs of the gateway's gRPC API, written by scripts/gen_protos.py."""

from google.protobuf.descriptor_pool import DescriptorPool

# Not the default one: that may have these messages as another version of the services knows them.
POOL = DescriptorPool()
