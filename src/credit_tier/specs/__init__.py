"""Pydantic specs of the content rooms."""
