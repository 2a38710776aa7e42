"""What answers look like: OpenAPI's document and GraphQL's types are made of these models."""
