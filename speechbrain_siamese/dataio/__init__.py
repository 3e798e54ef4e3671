"""From recordings to batches: decoding, cleaning, splits, sampling."""
