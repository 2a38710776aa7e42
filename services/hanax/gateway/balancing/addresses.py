"""Addresses as they are shown to people and counted: without what a key may hide in."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit


def shown_address(address: str) -> str:
    """Scheme, host and port of a URL: no user, path or query. What is no URL is shown as it is."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else address


def shown_addresses(addresses: Iterable[str]) -> list[str]:
    """Of each, in order. Those that would look alike are numbered: http://host, http://host#2."""
    times: dict[str, int] = {}
    shown = []
    for address in addresses:
        name = shown_address(address)
        times[name] = times.get(name, 0) + 1
        shown.append(name if times[name] == 1 else f"{name}#{times[name]}")
    return shown
