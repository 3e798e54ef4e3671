"""Use of an exported model."""
