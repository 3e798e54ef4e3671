"""What is done with embeddings and scores, as in ``speechbrain.processing``."""
