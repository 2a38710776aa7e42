"""Specs of custom resources that are right, and that are wrong and how."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

Spec = dict[str, Any]

COLLECTION: Final[Spec] = {"dimensions": 384}
MODEL: Final[Spec] = {"dimensions": 384, "serve": {"model": "all-MiniLM-L6-v2"}}
ELSEWHERE: Final[Spec] = {
    "dimensions": 1536,
    "endpoint": {"url": "https://api.example.com/v1", "protocol": "openai"},
}


class Wrong(NamedTuple):
    """`field`: what the refusal has to name. `allowed`: words of what may be there."""

    spec: Spec
    field: str
    allowed: str


class WrongChange(NamedTuple):
    old: Spec
    new: Spec
    field: str


def collection(**more: Any) -> Spec:
    return COLLECTION | more


def model(**more: Any) -> Spec:
    return MODEL | more


def served(**more: Any) -> Spec:
    return {"dimensions": 384, "serve": {"model": "all-MiniLM-L6-v2", **more}}


def elsewhere(**more: Any) -> Spec:
    return {
        "dimensions": 1536,
        "endpoint": {"url": "https://api.example.com/v1", "protocol": "openai", **more},
    }


def required_nodes(**requirement: Any) -> Spec:
    terms = {"nodeSelectorTerms": [{"matchExpressions": [requirement]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


EVERY_COLLECTION_FIELD: Final = collection(
    metric="cosine",
    index={"type": "ivf", "lists": 64, "nprobe": 8},
    quantisation={"type": "product", "bits": 8, "partDimension": 4, "refine": False},
    targetRecall=0.98,
    shards=4,
    replicas=1,
    embeddingModel="e5-small",
    payloadIndexes={"title": "text", "author.born": "datetime", "raw": "none"},
    ttlSeconds=86_400,
    placement="dedicated",
    storage={"size": "20Gi", "storageClassName": "fast"},
    resources={"requests": {"cpu": 1, "memory": "2Gi"}, "limits": {"cpu": "2", "memory": "4Gi"}},
    nodeSelector={"disk": "nvme"},
    tolerations=[
        {"key": "dedicated", "value": "vectors", "effect": "NoSchedule"},
        {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60},
    ],
    affinity={
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {
                        "matchExpressions": [
                            {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]}
                        ]
                    }
                ]
            },
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 5, "preference": {"matchExpressions": [{"key": "ssd", "operator": "Exists"}]}}
            ],
        },
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 100,
                    "podAffinityTerm": {
                        "topologyKey": "kubernetes.io/hostname",
                        "labelSelector": {"matchLabels": {"app": "noisy"}},
                    },
                }
            ]
        },
    },
    topologySpread=[
        {
            "topologyKey": "topology.kubernetes.io/zone",
            "maxSkew": 2,
            "whenUnsatisfiable": "DoNotSchedule",
            "minDomains": 2,
        }
    ],
    gpu={"count": 2, "resourceName": "amd.com/gpu", "nodeSelector": {"gpu": "mi300"}},
    deletionPolicy="Delete",
    suspend=True,
    paused=True,
)

RIGHT_COLLECTIONS: Final[dict[str, Spec]] = {
    "the least": COLLECTION,
    "every field": EVERY_COLLECTION_FIELD,
    "shared": collection(placement="shared", deletionPolicy="Delete"),
    "auto": collection(index={"type": "auto"}, quantisation={"type": "binary"}),
    "flat": collection(index={"type": "flat"}, quantisation={"type": "none"}),
    "hnsw": collection(index={"type": "hnsw", "m": 24, "efConstruction": 200, "efSearch": 64}),
    "lsh": collection(index={"type": "lsh", "numTables": 4, "hashSize": 10, "probes": 3}, metric="dot"),
    "k-d tree": collection(dimensions=3, index={"type": "kd_tree", "leafSize": 16}, metric="euclidean"),
    "sizes in other units": collection(storage={"size": "1.5e9"}),
    "a request without a limit": collection(resources={"requests": {"cpu": "500m"}}),
    "a request that is its limit, in other words": collection(
        resources={"requests": {"cpu": "1000m"}, "limits": {"cpu": 1}}
    ),
    "no volume told of": collection(storage={}),
}

WRONG_COLLECTIONS: Final[dict[str, Wrong]] = {
    "no dimensions": Wrong({}, "dimensions", "required"),
    "no number of dimensions": Wrong(collection(dimensions="many"), "dimensions", "integer"),
    "no dimension": Wrong(collection(dimensions=0), "dimensions", "1"),
    "too many dimensions": Wrong(collection(dimensions=8_193), "dimensions", "8192"),
    "a metric there is not": Wrong(collection(metric="hamming"), "metric", "manhattan"),
    "named vectors": Wrong(collection(vectors={"title": {"dimensions": 3}}), "vectors", "not served yet"),
    "an index there is not": Wrong(collection(index={"type": "annoy"}), "index.type", "hnsw"),
    "an index without a type": Wrong(collection(index={"m": 16}), "index.type", "required"),
    "another index's parameter": Wrong(collection(index={"type": "ivf", "m": 16}), "index.m", ""),
    "a parameter of auto": Wrong(collection(index={"type": "auto", "nprobe": 16}), "index.nprobe", ""),
    "a parameter out of range": Wrong(collection(index={"type": "hnsw", "m": 65}), "index.m", "64"),
    "a parameter in other letters": Wrong(
        collection(index={"type": "hnsw", "efsearch": 64}), "index.efsearch", ""
    ),
    "a quantisation there is not": Wrong(
        collection(quantisation={"type": "int4"}), "quantisation.type", "int8"
    ),
    "another quantisation's parameter": Wrong(
        collection(quantisation={"type": "int8", "bits": 8}), "quantisation.bits", ""
    ),
    "codes of other bits": Wrong(
        collection(quantisation={"type": "product", "bits": 6}), "quantisation.bits", "4"
    ),
    "codes that the index does not take": Wrong(
        collection(index={"type": "hnsw"}, quantisation={"type": "product"}), "quantisation", "int8, none"
    ),
    "parts that do not divide": Wrong(
        collection(quantisation={"type": "product", "partDimension": 5}), "quantisation", "divi"
    ),
    "a k-d tree for dot": Wrong(collection(index={"type": "kd_tree"}, metric="dot"), "index.type", "ivf"),
    "no recall": Wrong(collection(targetRecall=0), "targetRecall", "greater than 0"),
    "more than all": Wrong(collection(targetRecall=1.5), "targetRecall", "1"),
    "no shards": Wrong(collection(shards=0), "shards", "1"),
    "too many shards": Wrong(collection(shards=65), "shards", "64"),
    "no replicas": Wrong(collection(replicas=0), "replicas", "1"),
    "replicas": Wrong(collection(replicas=2), "replicas", "expected 1"),
    "a model's name that is none": Wrong(collection(embeddingModel="e5 small"), "embeddingModel", "match"),
    "a metadata index there is not": Wrong(
        collection(payloadIndexes={"title": "words"}), "payloadIndexes.title", "keyword"
    ),
    "a path that is none": Wrong(collection(payloadIndexes={"a..b": "text"}), "payloadIndexes", ""),
    "a path that is too long": Wrong(collection(payloadIndexes={"x" * 513: "text"}), "payloadIndexes", "512"),
    "too many metadata indexes": Wrong(
        collection(payloadIndexes={f"f{number}": "none" for number in range(257)}), "payloadIndexes", "256"
    ),
    "no time at all": Wrong(collection(ttlSeconds=0), "ttlSeconds", "1"),
    "a placement there is not": Wrong(collection(placement="here"), "placement", "shared"),
    "shared with a volume": Wrong(
        collection(placement="shared", storage={"size": "1Gi"}), "storage", "placement dedicated"
    ),
    "shared with resources": Wrong(
        collection(placement="shared", resources={"limits": {"cpu": 1}}), "resources", "placement dedicated"
    ),
    "shared on chosen nodes": Wrong(
        collection(placement="shared", nodeSelector={"a": "b"}), "nodeSelector", "placement dedicated"
    ),
    "shared with tolerations": Wrong(
        collection(placement="shared", tolerations=[{"operator": "Exists"}]),
        "tolerations",
        "placement dedicated",
    ),
    "shared with affinity": Wrong(
        collection(placement="shared", affinity={"podAffinity": {}}), "affinity", "placement dedicated"
    ),
    "shared and spread": Wrong(
        collection(placement="shared", topologySpread=[{"topologyKey": "zone"}]),
        "topologySpread",
        "placement dedicated",
    ),
    "shared with a GPU": Wrong(collection(placement="shared", gpu={}), "gpu", "placement dedicated"),
    "a size that is none": Wrong(collection(storage={"size": "20 GB"}), "storage.size", "10Gi"),
    "a size of nothing": Wrong(collection(storage={"size": "0"}), "storage.size", "10Gi"),
    "a size below nothing": Wrong(collection(storage={"size": "-5Gi"}), "storage.size", ""),
    "a storage class that is none": Wrong(
        collection(storage={"storageClassName": "Fast!"}), "storage.storageClassName", "match"
    ),
    "cores that are none": Wrong(
        collection(resources={"requests": {"cpu": "two"}}), "resources.requests.cpu", ""
    ),
    "a resource there is not": Wrong(
        collection(resources={"limits": {"memroy": "4Gi"}}), "resources.limits", "ephemeral-storage"
    ),
    "a request above its limit": Wrong(
        collection(resources={"requests": {"memory": "4Gi"}, "limits": {"memory": "4G"}}),
        "resources.requests",
        "limit",
    ),
    "a label's key that is none": Wrong(collection(nodeSelector={"a b": "c"}), "nodeSelector", "keys"),
    "a label that is none": Wrong(
        collection(nodeSelector={"disk": "very fast"}), "nodeSelector.disk", "match"
    ),
    "a toleration of a value and of any": Wrong(
        collection(tolerations=[{"key": "a", "operator": "Exists", "value": "b"}]),
        "tolerations[0].value",
        "none",
    ),
    "a toleration of nothing": Wrong(collection(tolerations=[{}]), "tolerations[0].key", "Equal"),
    "a toleration for a while of what evicts nobody": Wrong(
        collection(tolerations=[{"operator": "Exists", "tolerationSeconds": 5}]),
        "tolerations[0].tolerationSeconds",
        "NoExecute",
    ),
    "an effect there is not": Wrong(
        collection(tolerations=[{"operator": "Exists", "effect": "Never"}]),
        "tolerations[0].effect",
        "NoSchedule",
    ),
    "a spread over nothing": Wrong(
        collection(topologySpread=[{}]), "topologySpread[0].topologyKey", "required"
    ),
    "domains that are only wished for": Wrong(
        collection(topologySpread=[{"topologyKey": "zone", "minDomains": 2}]),
        "topologySpread[0].minDomains",
        "DoNotSchedule",
    ),
    "affinity to values of none": Wrong(
        collection(affinity=required_nodes(key="a", operator="In")), "values", "need"
    ),
    "affinity to none of values": Wrong(
        collection(affinity=required_nodes(key="a", operator="Exists", values=["b"])), "values", "none"
    ),
    "affinity to more than two values": Wrong(
        collection(affinity=required_nodes(key="a", operator="Gt", values=["1", "2"])), "values", "one"
    ),
    "no GPUs": Wrong(collection(gpu={"count": 0}), "gpu.count", "1"),
    "a policy there is not": Wrong(collection(deletionPolicy="Recycle"), "deletionPolicy", "Retain"),
    "half suspended": Wrong(collection(suspend="perhaps"), "suspend", "boolean"),
    "a field there is not": Wrong(collection(dimension=384), "dimension", ""),
    "a field there is not, further in": Wrong(collection(storage={"class": "fast"}), "storage.class", ""),
}

WRONG_COLLECTION_CHANGES: Final[dict[str, WrongChange]] = {
    "dimensions": WrongChange(COLLECTION, collection(dimensions=385), "dimensions"),
    "metric": WrongChange(COLLECTION, collection(metric="dot"), "metric"),
    "shards": WrongChange(COLLECTION, collection(shards=2), "shards"),
    "placement": WrongChange(COLLECTION, collection(placement="shared"), "placement"),
    "another model": WrongChange(
        collection(embeddingModel="a"), collection(embeddingModel="b"), "embeddingModel"
    ),
    "a model where there was none": WrongChange(COLLECTION, collection(embeddingModel="b"), "embeddingModel"),
    "no model any more": WrongChange(collection(embeddingModel="a"), COLLECTION, "embeddingModel"),
    "another time to live": WrongChange(collection(ttlSeconds=5), collection(ttlSeconds=6), "ttlSeconds"),
    "a time to live where there was none": WrongChange(COLLECTION, collection(ttlSeconds=6), "ttlSeconds"),
    "a smaller volume": WrongChange(
        collection(storage={"size": "2Gi"}), collection(storage={"size": "2G"}), "storage.size"
    ),
    "no size any more": WrongChange(collection(storage={"size": "2Gi"}), COLLECTION, "storage.size"),
    "another storage class": WrongChange(
        collection(storage={"storageClassName": "a"}),
        collection(storage={"storageClassName": "b"}),
        "storage.storageClassName",
    ),
    "a storage class where there was none": WrongChange(
        COLLECTION, collection(storage={"storageClassName": "b"}), "storage.storageClassName"
    ),
}

RIGHT_COLLECTION_CHANGES: Final[dict[str, tuple[Spec, Spec]]] = {
    "how it is searched": (
        COLLECTION,
        collection(index={"type": "hnsw"}, quantisation={"type": "none"}, targetRecall=0.9),
    ),
    "metadata indexes": (collection(payloadIndexes={"a": "text"}), collection(payloadIndexes={"b": "text"})),
    "a larger volume": (collection(storage={"size": "2G"}), collection(storage={"size": "2Gi"})),
    "the same volume in other words": (
        collection(storage={"size": "1Gi"}),
        collection(storage={"size": "1024Mi"}),
    ),
    "a size where there was none": (COLLECTION, collection(storage={"size": "2Gi"})),
    "how pods are run": (COLLECTION, collection(resources={"limits": {"cpu": 1}}, nodeSelector={"a": "b"})),
    "suspension": (COLLECTION, collection(suspend=True, paused=True, deletionPolicy="Delete")),
}

RIGHT_MODELS: Final[dict[str, Spec]] = {
    "the least served": MODEL,
    "the least elsewhere": ELSEWHERE,
    "every field of one that is served": {
        "dimensions": 768,
        "pattern": "hybrid",
        "serve": {
            "model": "BAAI/bge-base-en-v1.5",
            "backend": "torch",
            "device": "cuda",
            "gpu": {
                "count": 1,
                "resourceName": "nvidia.com/mig-1g.10gb",
                "nodeSelector": {"gpu": "a100"},
                "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
            },
            "autoscaling": {"min": 1, "max": 4, "targetQueue": 64},
            "cache": {"size": "5Gi", "storageClassName": "shared-files"},
            "resources": {"requests": {"cpu": 2}, "limits": {"memory": "8Gi"}},
        },
        "maxTokens": 512,
        "timeoutSeconds": 60,
        "retryAttempts": 0,
        "weight": 0.5,
        "healthCheckPath": "/healthz",
        "loadBalancing": "least_connections",
        "circuitBreaker": {"failures": 3, "openSeconds": 10},
        "rateLimit": {"requestsPerSecond": 0.5, "burst": 3},
    },
    "every field of one elsewhere": elsewhere(
        model="text-embedding-3-small",
        authSecretRef={"name": "openai", "key": "api_key"},
        headers={"OpenAI-Organization": "org-1"},
        weight=2,
        alternatives=[{"url": "https://b.example.com/v1", "weight": 0.5}, {"url": "http://c:1"}],
        prompts={"query": "query: ", "document": "passage: "},
    )
    | {"maxBatchTexts": 96, "hedgeAfterMs": 200},
    "grpc in several places": elsewhere(
        url="grpc://a:9301", protocol="grpc", alternatives=[{"url": "grpcs://b:443"}], prompts={}
    ),
    "int8": served(precision="int8", backend="onnx"),
    "int8 of the default backend": served(precision="int8"),
    "bfloat16": served(precision="bfloat16"),
    "float32 of torch": served(precision="float32", backend="torch"),
    "grpc": elsewhere(url="grpc://embedder.models:9301", protocol="grpc"),
    "tei": elsewhere(url="http://tei:8080", protocol="tei"),
    "several pods": served(replicas=3),
    "no pods": served(replicas=0),
    "a number of pods that is the default, and autoscaling": served(replicas=1, autoscaling={"max": 2}),
}

WRONG_MODELS: Final[dict[str, Wrong]] = {
    "no dimensions": Wrong({"serve": {"model": "a"}}, "dimensions", "required"),
    "too many dimensions": Wrong(model(dimensions=10_000), "dimensions", "8192"),
    "neither here nor there": Wrong({"dimensions": 3}, "", "exactly one of endpoint"),
    "here and there": Wrong(ELSEWHERE | {"serve": {"model": "a"}}, "", "exactly one of endpoint"),
    "a pattern there is not": Wrong(model(pattern="sometimes"), "pattern", "bulk_only"),
    "no URL": Wrong({"dimensions": 3, "endpoint": {"protocol": "tei"}}, "endpoint.url", "required"),
    "a URL that is none": Wrong(elsewhere(url="api.example.com"), "endpoint.url", "http"),
    "a URL with a password": Wrong(elsewhere(url="https://me:secret@example.com"), "endpoint.url", "match"),
    "no protocol": Wrong({"dimensions": 3, "endpoint": {"url": "http://a"}}, "endpoint.protocol", "required"),
    "a protocol there is not": Wrong(elsewhere(protocol="soap"), "endpoint.protocol", "cohere"),
    "grpc over http": Wrong(elsewhere(protocol="grpc"), "endpoint.url", "grpc://"),
    "http over grpc": Wrong(elsewhere(url="grpc://a:1"), "endpoint.url", "http://"),
    "a secret in the open": Wrong(
        elsewhere(headers={"Authorization": "Bearer x"}), "endpoint.headers", "authSecretRef"
    ),
    "a header's name that is none": Wrong(elsewhere(headers={"a b": "c"}), "endpoint.headers", "letters"),
    "a header of two lines": Wrong(elsewhere(headers={"a": "b\nc"}), "endpoint.headers.a", "match"),
    "a secret without a name": Wrong(elsewhere(authSecretRef={}), "endpoint.authSecretRef.name", "required"),
    "no model": Wrong({"dimensions": 3, "serve": {}}, "serve.model", "required"),
    "a model without a name": Wrong(served(model=""), "serve.model", "1"),
    "alternatives of another protocol": Wrong(
        elsewhere(alternatives=[{"url": "grpc://a:1"}]), "endpoint.alternatives", "same protocol"
    ),
    "an alternative twice": Wrong(
        elsewhere(alternatives=[{"url": "http://a"}, {"url": "http://a"}]), "endpoint.alternatives", "once"
    ),
    "the URL again": Wrong(
        elsewhere(alternatives=[{"url": "https://api.example.com/v1"}]), "endpoint.alternatives", "once"
    ),
    "too many alternatives": Wrong(
        elsewhere(alternatives=[{"url": f"http://a{number}"} for number in range(17)]),
        "endpoint.alternatives",
        "16",
    ),
    "prompts of grpc": Wrong(
        elsewhere(url="grpc://a:1", protocol="grpc", prompts={"query": "q"}),
        "endpoint.prompts",
        "not for grpc",
    ),
    "int8 of torch": Wrong(served(precision="int8", backend="torch"), "serve.precision", "onnx"),
    "bfloat16 of torch": Wrong(served(precision="bfloat16", backend="torch"), "serve.precision", "onnx"),
    "int8 on a GPU": Wrong(served(precision="int8", gpu={}), "serve.precision", "no gpu"),
    "a hedge at once": Wrong(MODEL | {"hedgeAfterMs": 0}, "hedgeAfterMs", "1"),
    "requests of no texts": Wrong(MODEL | {"maxBatchTexts": 0}, "maxBatchTexts", "1"),
    "a backend there is not": Wrong(served(backend="tensorflow"), "serve.backend", "torch"),
    "a device there is not": Wrong(served(device="tpu"), "serve.device", "cuda"),
    "cuda without a GPU": Wrong(served(device="cuda"), "serve.gpu", "expected gpu"),
    "a GPU that the CPU does not need": Wrong(served(device="cpu", gpu={}), "serve.gpu", "device cuda"),
    "too many GPUs": Wrong(served(gpu={"count": 17}), "serve.gpu.count", "16"),
    "pods below none": Wrong(served(replicas=-1), "serve.replicas", "0"),
    "a number of pods, and autoscaling": Wrong(
        served(replicas=2, autoscaling={"max": 3}), "serve.replicas", "expected none"
    ),
    "autoscaling without an end": Wrong(served(autoscaling={}), "serve.autoscaling.max", "required"),
    "autoscaling backwards": Wrong(
        served(autoscaling={"min": 3, "max": 2}), "serve.autoscaling.min", "max at most"
    ),
    "no cache at all": Wrong(served(cache={"size": "0Gi"}), "serve.cache.size", "10Gi"),
    "no tokens": Wrong(model(maxTokens=0), "maxTokens", "1"),
    "no time": Wrong(model(timeoutSeconds=0), "timeoutSeconds", "1"),
    "too many retries": Wrong(model(retryAttempts=11), "retryAttempts", "10"),
    "too little weight": Wrong(model(weight=0.01), "weight", "0.1"),
    "too much weight": Wrong(model(weight=11), "weight", "10"),
    "a path that is none": Wrong(model(healthCheckPath="health"), "healthCheckPath", "match"),
    "a balance there is not": Wrong(model(loadBalancing="random"), "loadBalancing", "round_robin"),
    "a breaker that is always open": Wrong(
        model(circuitBreaker={"failures": 0}), "circuitBreaker.failures", "1"
    ),
    "no requests at all": Wrong(
        model(rateLimit={"requestsPerSecond": 0}), "rateLimit.requestsPerSecond", "greater than 0"
    ),
    "a limit of nothing": Wrong(model(rateLimit={"burst": 3}), "rateLimit.requestsPerSecond", "required"),
    "a field there is not": Wrong(served(gpus=1), "serve.gpus", ""),
}

WRONG_MODEL_CHANGES: Final[dict[str, WrongChange]] = {
    "dimensions": WrongChange(MODEL, model(dimensions=768), "dimensions"),
    "a smaller cache": WrongChange(served(cache={}), served(cache={"size": "9Gi"}), "serve.cache.size"),
    "a cache elsewhere": WrongChange(
        served(cache={}), served(cache={"storageClassName": "a"}), "serve.cache.storageClassName"
    ),
}
RIGHT_MODEL_CHANGES: Final[dict[str, tuple[Spec, Spec]]] = {
    "from there to here": (elsewhere() | {"dimensions": 384}, MODEL),
    "a larger cache": (served(cache={}), served(cache={"size": "11Gi"})),
    "no cache": (served(cache={}), MODEL),
    "more pods": (MODEL, served(replicas=4)),
}
