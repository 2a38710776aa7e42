"""The metadata database: what is known of libraries, documents, jobs and operations, beside the vectors."""
