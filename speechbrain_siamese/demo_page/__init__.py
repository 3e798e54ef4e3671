"""The page of ``siamese demo``, where anyone can try a voice."""
