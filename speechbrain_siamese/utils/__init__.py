"""Metrics, plots and export."""
