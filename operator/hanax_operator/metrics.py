"""What the operator counts about itself, for Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

RECONCILES = Counter(
    "hanax_operator_reconciles", "Reconciles of a kind, by how they ended", ["kind", "result"]
)
SECONDS = Histogram(
    "hanax_operator_reconcile_seconds",
    "Time of one reconcile",
    ["kind"],
    buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0),
)
QUEUED = Gauge("hanax_operator_queue_length", "Collections and models that wait to be reconciled")
WRITES = Counter("hanax_operator_writes", "Writes to the API server", ["kind", "verb"])
LEADER = Gauge("hanax_operator_leader", "1 while this replica leads")
REVISION = Gauge("hanax_operator_routing_revision", "Revision of the routing table in force")
