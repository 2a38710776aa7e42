"""From a spec to manifests: pure functions, one module per kind of custom resource.

A builder sees the spec, the release and the objects as they are, and answers the object as it has to be, or
None when it must not exist. It reads nothing and writes nothing. The same input gives the same manifest, to
the byte: what is applied again and again must not change by itself.

A pod restarts when its template changes, so a template holds only what a pod is made of: no version of the
operator, no label that people may set, nothing of a collection that index-shards read in the routing table.
"""
