"""Public limits, each with its reason. Past one of them a request is refused with a named error."""

# The largest models in use stop at 4,096; twice that leaves room, and one row stays under 32 KiB.
MAX_DIMENSION = 8_192

# Products of two components, summed, stay inside float32 for vectors between these lengths.
MAX_VECTOR_NORM = 1e18
MIN_COSINE_NORM = 1e-18

# Long enough for a URL-like key, short enough that a million ids stay small.
MAX_ID_BYTES = 128

# A point's metadata is read whole when it is returned; documents belong in a document store.
MAX_METADATA_BYTES = 65_536

# What is kept beside them of a vector that was embedded here; a model's name may be a path.
MAX_PROVENANCE_BYTES = 8_192

# Metadata and filters are walked recursively.
MAX_METADATA_DEPTH = 16

# One answer stays small enough to hold in memory for every request in flight.
MAX_SEARCH_LIMIT = 1_000

# One write is one log record and one gRPC message.
MAX_BATCH_POINTS = 2_000

# Search in one request.
MAX_BATCH_QUERIES = 100

# Every example of a recommendation is one query.
MAX_EXAMPLES = 100

# A group costs its own search where the first one did not fill it.
MAX_GROUPS = 100
MAX_GROUP_SIZE = 100

# Counted exactly, so each shard tells all of them: some MiB.
MAX_FACET_VALUES = 65_536

# Compared with one another to keep results diverse.
MAX_CANDIDATES = 1_000

# Fields of a point's metadata that one request may name.
MAX_PROJECTED_FIELDS = 64
MAX_CHANGED_FIELDS = 64

# Written whole at every change, and looked up by every request that names one.
MAX_ALIASES = 1_000

# G-04: batch_size 1..128.
MAX_EMBED_TEXTS = 128

# Tokenising is linear in the text; a model reads far less than this of it.
MAX_TEXT_BYTES = 131_072

# An HTTP body: a full batch of vectors of 768 dimensions written as JSON.
MAX_BODY_BYTES = 32 * 1024 * 1024

# A message to the gateway over gRPC: a full batch at the largest dimension, and 32 KiB of metadata a point.
MAX_CALL_BYTES = 128 * 1024 * 1024

# A gRPC message between services: a full batch at the largest dimension, with metadata.
MAX_MESSAGE_BYTES = 256 * 1024 * 1024

# Filter expressions are evaluated for every candidate row.
MAX_FILTER_DEPTH = 16
MAX_FILTER_NODES = 256
MAX_FILTER_VALUES = 4_096
MAX_FILTER_BYTES = 262_144
# Each edge is tried for every point that is tested.
MAX_FILTER_POLYGON_POINTS = 1_000
# Each word is one list of rows to read.
MAX_FILTER_WORDS = 64

# Pins are read for every segment that is built, and a segment indexes no more fields than these.
MAX_PAYLOAD_INDEXES = 256

# Names of fields that a description tells: as many as can be pinned to be left out.
MAX_FIELDS_TOLD = MAX_PAYLOAD_INDEXES

# D-01: a passage, which a model reads as one; documents are longer.
MAX_CHUNK_CHARACTERS = 10_000

# A document's chunks change together: one write to each shard, and one transaction.
MAX_DOCUMENT_CHUNKS = 2_000

# More would make more chunks than that; divided in one thread, while others wait.
MAX_DOCUMENT_CHARACTERS = 2_000_000

# Beside a chunk's text in its point's metadata, which has MAX_METADATA_BYTES for all of it.
MAX_DOCUMENT_TITLE = 1_000
MAX_LIBRARY_METADATA_BYTES = 8_192

# A hundred years.
MAX_TTL_SECONDS = 3_155_760_000

# Of the year 9999 in UTC, after which instants can't be written: microseconds since 1970.
MAX_INSTANT_US = 253_402_300_799_999_999

# Virtual partitions of a collection's id space. Part of the on-disk and routing contract.
SLOTS = 1_024

# Slots are spread over shards, at least 16 each.
MAX_SHARDS = 64

# Buckets beyond the number of rows stay empty: 2^24 are more than a segment has rows.
MAX_HASH_BITS = 24
