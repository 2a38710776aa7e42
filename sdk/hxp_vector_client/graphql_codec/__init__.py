"""Requests and answers as GraphQL writes them: documents that ask for what REST answers, under its names."""
