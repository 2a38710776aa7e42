"""Vector indexes: they know rows and a bitmap of allowed rows, never filters or ids."""
