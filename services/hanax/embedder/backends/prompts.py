"""What models want before a text, by what the text is for.

A model's config_sentence_transformers.json says it. Families that were published before that file
had prompts say it in their documentation only: those are in a table here, by the model's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hanax.embedder.backends import Purpose

# Names that models use, the more usual first.
_QUERY: Final = ("query", "search_query", "s2p_query", "retrieval.query")
_DOCUMENT: Final = ("document", "passage", "search_document", "corpus", "retrieval.passage")


@dataclass(frozen=True)
class Prompts:
    """Put before a text as they are. Empty: nothing."""

    none: str = ""
    query: str = ""
    document: str = ""

    def of(self, purpose: Purpose) -> str:
        return {Purpose.QUERY: self.query, Purpose.DOCUMENT: self.document}.get(purpose, self.none)

    @property
    def any(self) -> bool:
        return bool(self.none or self.query or self.document)


_FAMILIES: Final = (
    (re.compile(r"(multilingual-)?e5-(small|base|large)(-v2)?"), Prompts("", "query: ", "passage: ")),
    (
        re.compile(r"bge-(small|base|large)-en(-v1\.5)?"),
        Prompts("", "Represent this sentence for searching relevant passages: "),
    ),
    (
        re.compile(r"bge-(small|base|large)-zh(-v1\.5)?"),
        Prompts(
            "",
            "\u4e3a\u8fd9\u4e2a\u53e5\u5b50\u751f\u6210\u8868\u793a\u4ee5\u7528\u4e8e\u68c0\u7d22\u76f8\u5173\u6587\u7ae0\uff1a",
        ),
    ),
)


def prompts_of(config: Mapping[str, Any], names: Iterable[str]) -> Prompts:
    """`config`: of config_sentence_transformers.json. `names`: of the model, with an owner or without."""
    listed = config.get("prompts")
    named = {name: text for name, text in listed.items() if text} if isinstance(listed, dict) else {}
    if named:
        none = str(named.get(config.get("default_prompt_name") or "", ""))
        return Prompts(none, _first(named, _QUERY, none), _first(named, _DOCUMENT, none))
    for name in names:
        for family, prompts in _FAMILIES:
            if family.fullmatch(name.rpartition("/")[2]):
                return prompts
    return Prompts()


def _first(named: Mapping[str, Any], names: Iterable[str], otherwise: str) -> str:
    return next((str(named[name]) for name in names if name in named), otherwise)
