"""gRPC between services: channels, servers, deadlines, and how errors travel."""
