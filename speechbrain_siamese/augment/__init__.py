"""Augmentations of waveforms that SpeechBrain's ``Augmenter`` applies."""
