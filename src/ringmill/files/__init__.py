"""Floor 4: files as people use them: opened, read and written whole, copied, walked."""
