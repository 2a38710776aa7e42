"""The one door: parses requests, spreads them over shards, merges the answers. Holds no state.

`points`, `queries`, `collections` and `embedding` are the service objects that know the rules;
`rest` only parses, calls one of them, and renders.
"""
