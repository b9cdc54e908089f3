"""Training, calibration, scorecard, evaluation, bundle and tracking of models."""
