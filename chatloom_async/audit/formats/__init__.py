"""Report formats: rows to text, piece by piece. A format does not know files, screens or arguments."""
