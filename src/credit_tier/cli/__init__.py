"""Typer shell over the doors; heavy libraries are imported inside commands."""
