"""Parts of the command ``siamese``; :mod:`speechbrain_siamese.command_line`."""
