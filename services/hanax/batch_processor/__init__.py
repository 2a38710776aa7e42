"""The service that runs jobs: embedding and storing what is too much for one request.

The database knows what is to be done and what is done; messages only wake; all that is embedded or stored
goes through the gateway, where limits, caches and provenance are.
"""
