"""One file a format: rows to text, piece by piece. A format knows nothing of files, screens and arguments."""
