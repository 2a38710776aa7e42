"""Work that is answered later: what the gateway takes, tells and changes of batch jobs."""
