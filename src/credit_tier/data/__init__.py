"""Contracts, ingestion, the lake and the synthetic city."""
