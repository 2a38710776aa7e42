"""Texts in, vectors out: the one way to every model, for searches, inserts and all doors that embed.

A text that occurs twice is embedded once. What is not kept from before goes out in chunks that the model's
servers take, some at a time, and comes back in the order of the texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

import numpy as np

from hanax.core.errors import HanaxError, Internal, InvalidArgument, TextTooLong
from hanax.core.model_routes import ModelRoute
from hanax.core.resources.names import AUTO
from hanax.core.specs import CollectionSpec
from hanax.gateway.cache.flights import Flights
from hanax.gateway.calls import Call
from hanax.gateway.metrics import Metrics
from hanax.gateway.models.kept import EmbeddingCache, Row
from hanax.gateway.models.registry import Model, Models, chunk_slots, named
from hanax.gateway.models.wanted import Made, Wanted
from hanax.gateway.shards import gather_all
from hanax.gateway.texts import require_model
from hanax.gateway.vectors import Matrix

# Told in a message; the details have all.
_MOST_PLACES: Final = 10

# A token is seldom shorter, in any script.
_BYTES_PER_TOKEN: Final = 2


@dataclass(frozen=True, slots=True)
class Embedded:
    """vectors: float32[n, dimension], of `model`.

    versions: of the model that made each vector, as it was told with them: `model` has what was known before.
    tokens: read of each text; None where the model's server does not tell. total_tokens: of those texts that
    were not known from before. truncated, split: indexes of texts that were read in part, or in parts.
    fresh: how many texts were not known from before: the model was given them, for this request or for an
    equal one at the same time. age_s: seconds since the oldest of the others was kept.
    """

    model: ModelRoute
    vectors: Matrix
    tokens: list[int] | None
    total_tokens: int
    truncated: list[int]
    split: list[int]
    fresh: int
    versions: list[str]
    age_s: float = 0.0

    @property
    def version(self) -> str:
        """Of all vectors; empty where they are of several, as they may be in a roll-out."""
        return self.versions[0] if len(set(self.versions)) == 1 else ""


def joined(parts: Sequence[Embedded]) -> Embedded:
    """Of consecutive texts, as one. `parts` is not empty."""
    starts = list(accumulate((len(part.vectors) for part in parts), initial=0))
    placed = list(zip(starts, parts, strict=False))
    return Embedded(
        model=parts[-1].model,
        vectors=np.concatenate([part.vectors for part in parts]),
        tokens=_all_tokens([part.tokens for part in parts]),
        total_tokens=sum(part.total_tokens for part in parts),
        truncated=[start + place for start, part in placed for place in part.truncated],
        split=[start + place for start, part in placed for place in part.split],
        fresh=sum(part.fresh for part in parts),
        versions=[version for part in parts for version in part.versions],
        age_s=max(part.age_s for part in parts),
    )


def _all_tokens(parts: Sequence[list[int] | None]) -> list[int] | None:
    known = [part for part in parts if part is not None]
    return [count for part in known for count in part] if len(known) == len(parts) else None


class Embedding:
    def __init__(self, models: Models, cache: EmbeddingCache, metrics: Metrics, timeout_s: float) -> None:
        """timeout_s: of a request that embeds texts and nothing else."""
        self.models = models
        self.timeout_s = timeout_s
        self._cache = cache
        self._metrics = metrics
        self._flights: Flights[tuple[list[Row], int]] = Flights()

    def choose(self, name: str) -> Model:
        """By its name; `auto`: the first. Raises ModelNotFound."""
        return self.models.first() if name == AUTO else self.models.get(name)

    def model_of(self, spec: CollectionSpec) -> Model:
        """Raises FailedPrecondition (the collection has none), ModelConflict and Unavailable."""
        return self.models.of(spec, require_model(spec, "text"))

    async def embed(
        self, call: Call, model: Model, texts: Sequence[str], wanted: Wanted, at_once: int | None = None
    ) -> Embedded:
        """Vectors of checked texts, within the call's deadline. at_once: texts in one request at most.

        Raises TextTooLong (`indexes` in the details), InvalidArgument for dimensions that the model does
        not have, RateLimited, Overloaded, Unavailable, UpstreamFailed and DeadlineExceeded.
        """
        # All is asked for alike, also when a newer table changes the model meanwhile.
        served, model = model, model.as_it_is()
        route = model.route
        check_dimensions(route, wanted)
        unique = list(dict.fromkeys(texts))
        began = call.clock()
        with call.waiting("embed"), call.away():
            found: list[Row | None] = [None] * len(unique)
            if call.control.read:
                kept = await self._cache.get_many(route, wanted, unique)
                found = [row if row is not None and _is_young(row, call) else None for row in kept]
            missing = [place for place, row in enumerate(found) if row is None]
            total, shared = 0, False
            if missing:
                lacking = [unique[place] for place in missing]
                try:
                    (rows, total), shared = await self._embed_once(call, model, lacking, wanted, at_once)
                except HanaxError as error:
                    raise _located(error, route, lacking, texts) from None
                for place, row in zip(missing, rows, strict=True):
                    found[place] = row
                served.learn(rows[-1].version, model.declared)
        fresh = len(missing)
        given = 0 if shared else fresh
        self._metrics.embedded(route.name, call.clock() - began, given, len(unique) - given)
        return _answer(route, texts, dict(zip(unique, found, strict=True)), total, fresh)

    async def _embed_once(
        self, call: Call, model: Model, texts: Sequence[str], wanted: Wanted, at_once: int | None
    ) -> tuple[tuple[list[Row], int], bool]:
        """What `_embed` makes, and whether an equal request that was under way made it."""
        route = model.route

        async def embed_and_keep() -> tuple[list[Row], int]:
            rows, total = await _embed(call, model, texts, wanted, at_once)
            if call.control.store:
                await self._cache.put_many(route, wanted, texts, rows)
            return rows, total

        if not call.control.read:
            return await embed_and_keep(), False
        key = (route, wanted, tuple(texts))
        return await self._flights.join(key, embed_and_keep, call.deadline - call.clock())


def _is_young(row: Row, call: Call) -> bool:
    oldest_s = call.control.max_age_s
    return oldest_s is None or row.age_s <= oldest_s


async def _embed(
    call: Call, model: Model, texts: Sequence[str], wanted: Wanted, at_once: int | None
) -> tuple[list[Row], int]:
    """Rows of all texts, and the tokens read as far as the server tells."""
    chunks = _chunks(model, texts, at_once)
    slots = chunk_slots(model.route)

    async def run(first: int, after: int) -> Made | TextTooLong:
        async with slots:
            try:
                made = await model.embed(texts[first:after], wanted, call.deadline)
            except TextTooLong as error:
                return _moved(error, first)
        if len(made.vectors) != after - first:
            raise Internal(f"{len(made.vectors)} vectors came for {after - first} texts")
        return made

    ended = await gather_all([run(first, after) for first, after in chunks])
    # All are waited for, so that all texts that are too long are told at once, and not chunk by chunk.
    if refusals := [one for one in ended if isinstance(one, TextTooLong)]:
        indexes = [index for one in refusals for index in one.details["indexes"]]
        raise TextTooLong(refusals[0].message, **{**refusals[0].details, "indexes": indexes})
    made = [one for one in ended if isinstance(one, Made)]
    total = sum((one.total_tokens or 0) if one.tokens is None else sum(one.tokens) for one in made)
    return [row for one in made for row in _rows(one, model.route.version)], total


def _moved(error: TextTooLong, first: int) -> TextTooLong:
    """Of the texts from `first` on, as one of all texts."""
    indexes = [first + index for index in error.details.get("indexes", ())]
    return TextTooLong(error.message, **{**error.details, "indexes": indexes})


def _chunks(model: Model, texts: Sequence[str], at_once: int | None) -> list[tuple[int, int]]:
    """[first, after) of each: within what a request may hold, in texts and by a guess at their tokens."""
    most = model.client.max_texts
    if model.route.max_batch_texts is not None:
        # Another's server may be set to take more than is usual; ours can't be.
        ours = model.route.protocol == "grpc"
        most = min(model.route.max_batch_texts, most) if ours else model.route.max_batch_texts
    most = most if at_once is None else min(most, at_once)
    tokens_most = model.client.max_tokens_per_request
    chunks: list[tuple[int, int]] = []
    first, tokens = 0, 0
    for place, text in enumerate(texts):
        length = 0
        if tokens_most is not None:
            length = min(len(text.encode()) // _BYTES_PER_TOKEN + 1, model.route.max_tokens)
        full = place - first == most or (tokens_most is not None and tokens + length > tokens_most)
        if full and place > first:
            chunks.append((first, place))
            first, tokens = place, 0
        tokens += length
    return [*chunks, (first, len(texts))]


def _rows(made: Made, version: str) -> list[Row]:
    """version: where the server tells none."""
    truncated, split = frozenset(made.truncated), frozenset(made.split)
    tokens: Sequence[int | None] = made.tokens or [None] * len(made.vectors)
    return [
        Row(vector, count, place in truncated, place in split, made.version or version)
        for place, (vector, count) in enumerate(zip(made.vectors, tokens, strict=True))
    ]


def _located(
    error: HanaxError, route: ModelRoute, lacking: Sequence[str], texts: Sequence[str]
) -> HanaxError:
    """With the model's name, and indexes of the texts as they were given."""
    if isinstance(error, TextTooLong) and error.details.get("indexes"):
        long = {lacking[index] for index in error.details["indexes"]}
        indexes = [index for index, text in enumerate(texts) if text in long]
        return too_long({**error.details, "model": route.name, "limit": route.max_tokens}, indexes)
    return named(error, route.name)


def too_long(details: Mapping[str, Any], indexes: Sequence[int]) -> TextTooLong:
    """Of the texts at `indexes`, as whoever is told counts them. details: `model`, `limit`, and others."""
    where = f"in the texts at {listed(indexes)}"
    return TextTooLong(f"{more_than_read(details)}, {where}", **{**details, "indexes": list(indexes)})


def more_than_read(details: Mapping[str, Any]) -> str:
    """What is wrong with the texts that `too_long` has these details of, but not where they are."""
    return f"embedding model {details['model']!r}: more than the {details['limit']} tokens that it reads"


def listed(places: Sequence[object]) -> str:
    """The first of them, for messages."""
    return ", ".join(map(str, places[:_MOST_PLACES])) + (", ..." if len(places) > _MOST_PLACES else "")


def check_dimensions(route: ModelRoute, wanted: Wanted) -> None:
    """Raises InvalidArgument where vectors are wanted longer than the model makes them."""
    if wanted.dimensions is not None and wanted.dimensions > route.dimension:
        raise InvalidArgument(
            f"dimensions: embedding model {route.name!r} makes vectors of {route.dimension} numbers, "
            f"got {wanted.dimensions}",
            model=route.name,
            limit=route.dimension,
            got=wanted.dimensions,
        )


def _answer(
    route: ModelRoute, texts: Sequence[str], row_by_text: dict[str, Row | None], total: int, fresh: int
) -> Embedded:
    rows = [row for text in texts if (row := row_by_text[text]) is not None]
    tokens = [row.tokens for row in rows if row.tokens is not None]
    return Embedded(
        model=route,
        vectors=np.stack([row.vector for row in rows]),
        tokens=tokens if len(tokens) == len(rows) else None,
        total_tokens=total,
        truncated=[place for place, row in enumerate(rows) if row.truncated],
        split=[place for place, row in enumerate(rows) if row.split],
        fresh=fresh,
        versions=[row.version for row in rows],
        age_s=max(row.age_s for row in rows),
    )
