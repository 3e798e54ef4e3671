"""Features and encoders."""
