"""The gRPC door: services of vectors, jobs, libraries, models. Parses, calls one service object, renders."""
