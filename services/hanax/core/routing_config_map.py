"""The routing table in a ConfigMap, compressed because a ConfigMap holds 1 MiB, and the aliases in another.

    data.revision                 the table's revision, for people and for a cheap look
    binaryData["table.json.gz"]   the table as JSON, gzip, base64 as the API has it

    data["aliases.json"]          all aliases as JSON, as they are declared; absent: there are none

Equal tables make equal bytes. Readers pass over fields that they don't know, because the controller may be
newer than the nodes that follow it; a value of an unknown kind still refuses the table as a whole.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import zlib
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from hanax.core.errors import DataLoss, RoutingTableTooLarge
from hanax.core.routing import Aliases, RoutingTable

REVISION_KEY: Final = "revision"
TABLE_KEY: Final = "table.json.gz"
ALIASES_KEY: Final = "aliases.json"

# The API server takes 1 MiB of data, counted decoded. The rest is for the one revision more that makes the
# table a little larger than it was when there was still room.
MAX_TABLE_BYTES: Final = 900 * 1024

# A table that fits is a few MiB of JSON at most; anything that swells to more is no table.
_MAX_JSON_BYTES: Final = 64 * 1024 * 1024


def to_config_map_data(table: RoutingTable) -> tuple[dict[str, str], dict[str, str]]:
    """The ConfigMap's data and binaryData (base64). Raises RoutingTableTooLarge past MAX_TABLE_BYTES."""
    packed = gzip.compress(table.model_dump_json().encode(), mtime=0)
    if len(packed) > MAX_TABLE_BYTES:
        raise RoutingTableTooLarge(
            f"the routing table of {len(table.collections)} collections takes {len(packed)} bytes, "
            f"more than the {MAX_TABLE_BYTES} that a ConfigMap is given",
            size_bytes=len(packed),
            limit_bytes=MAX_TABLE_BYTES,
            collections=len(table.collections),
        )
    return {REVISION_KEY: str(table.revision)}, {TABLE_KEY: base64.b64encode(packed).decode()}


def from_config_map(obj: Mapping[str, Any]) -> RoutingTable:
    """The table of a ConfigMap as the API answers it. Raises DataLoss for anything else."""
    try:
        packed = base64.b64decode(obj["binaryData"][TABLE_KEY], validate=True)
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
            raw = file.read(_MAX_JSON_BYTES + 1)
        if len(raw) > _MAX_JSON_BYTES:
            raise DataLoss(f"{TABLE_KEY} holds more than {_MAX_JSON_BYTES} bytes")
        return RoutingTable.model_validate_json(raw, extra="ignore")
    except (KeyError, TypeError):
        raise DataLoss(f"the ConfigMap has no {TABLE_KEY}") from None
    except (binascii.Error, zlib.error, EOFError, OSError, ValueError) as error:
        count = f"{error.error_count()} errors" if isinstance(error, ValidationError) else str(error)
        raise DataLoss(f"{TABLE_KEY} of the ConfigMap is no routing table: {count}") from None


def aliases_to_config_map_data(aliases: Aliases) -> dict[str, str]:
    """The data of the ConfigMap of aliases."""
    return {ALIASES_KEY: aliases.model_dump_json()}


def aliases_from_config_map(obj: Mapping[str, Any]) -> Aliases:
    """The aliases of a ConfigMap as the API answers it; none where it is empty. Raises DataLoss."""
    text = (obj.get("data") or {}).get(ALIASES_KEY)
    if text is None:
        return Aliases()
    try:
        return Aliases.model_validate_json(text, extra="ignore")
    except ValueError as error:
        count = f"{error.error_count()} errors" if isinstance(error, ValidationError) else str(error)
        raise DataLoss(f"{ALIASES_KEY} of the ConfigMap does not hold aliases: {count}") from None
