"""The gRPC door: citadel.vector.v1.VectorService. It parses, calls one service object, renders."""
