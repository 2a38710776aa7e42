"""The whole platform on one machine: a supervisor starts, watches and stops the services.

It is also the controller that a cluster's operator is elsewhere: it reconciles the catalog folder
into the routing table file. Everything lies below one data directory (see `layout`).
"""
