"""What users are shown, by REST and by GraphQL: plain data of what service objects return.

Metadata leave as the bytes that the shard sent, vectors as numpy rows: nothing is decoded to be encoded
again.
"""
