"""Bytes to values and back: every decision about a message is a function of values. No I/O here."""
