"""Bytes of jobs: what users upload, and result files. In a folder, or in pieces in the database."""
