"""Verifiable draws: frame, tickets, selection, record; imports nothing, so that the verifier runs alone."""
