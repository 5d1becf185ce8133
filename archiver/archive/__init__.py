"""The only package that knows a disk or a key. `archive.py` is its door; nothing outside imports the rest of it
but `keyring`'s ways to unlock."""
