"""The GraphQL door: the schema, and how a document is read, weighed and run."""
