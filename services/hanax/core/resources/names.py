"""Names that the operator, the services and the chart agree on inside a cluster."""

from __future__ import annotations

from typing import Final, NamedTuple

GROUP: Final = "vector.citadel-ai.com"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"


class ResourceName(NamedTuple):
    """How a custom resource is called: by manifests, by addresses of the API, and by people."""

    kind: str
    plural: str
    singular: str
    short: str

    @property
    def crd(self) -> str:
        """Name of its CustomResourceDefinition."""
        return f"{self.plural}.{GROUP}"


VECTOR_COLLECTION: Final = ResourceName("VectorCollection", "vectorcollections", "vectorcollection", "vc")
EXTERNAL_MODEL: Final = ResourceName("ExternalModel", "externalmodels", "externalmodel", "xm")

# What a request names that leaves the choice of a model open; no model has this name.
AUTO: Final = "auto"

# Who writes the fields of the children, for server-side apply.
FIELD_MANAGER: Final = "hanax-operator"

# Holds an object back until its data is gone, or kept on purpose.
FINALIZER: Final = f"{GROUP}/data"

# Annotation; "true": the operator leaves the object and its children alone.
PAUSED: Final = f"{GROUP}/paused"
# Annotation of a workload: the image that was asked for when its image was chosen.
ASKED_IMAGE: Final = f"{GROUP}/asked-image"
# Annotation of the shard pool's StatefulSet: the size that each of its volumes is to have at least.
STORAGE_SIZE: Final = f"{GROUP}/storage-size"

# Labels of children. Selectors use those of GROUP and the component alone. None tells a version: an
# upgrade would change pod templates and restart every shard.
APP_LABEL: Final = "app.kubernetes.io/name"
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
COMPONENT_LABEL: Final = "app.kubernetes.io/component"
COLLECTION_LABEL: Final = f"{GROUP}/collection"
SHARD_LABEL: Final = f"{GROUP}/shard"
MODEL_LABEL: Final = f"{GROUP}/model"
# Of the pods of the shard pool and their claims: the StatefulSet.
POOL_LABEL: Final = f"{GROUP}/pool"
# Label of a VectorCollection; "api": declared by a gateway.
CREATED_BY_LABEL: Final = f"{GROUP}/created-by"

APP: Final = "hana-x-vector"
MANAGED_BY: Final = "hanax-operator"
SHARD_COMPONENT: Final = "shard"
EMBEDDER_COMPONENT: Final = "embedder"
CREATED_BY_API: Final = "api"

SHARD_PORT: Final = 9101
SHARD_METRICS_PORT: Final = 9201
EMBEDDER_PORT: Final = 9301
EMBEDDER_METRICS_PORT: Final = 9401
GATEWAY_GRPC_PORT: Final = 8081
OPERATOR_METRICS_PORT: Final = 9601
WEBHOOK_PORT: Final = 9443
