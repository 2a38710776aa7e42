"""Requests and answers as gRPC writes them: to messages, and back to what REST answers."""
