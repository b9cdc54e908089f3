"""Point-in-time features and labels: spine, visible versions, compiled catalogue."""
