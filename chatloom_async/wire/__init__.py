"""Requests, responses and errors as values: encoding, decoding and validation, without I/O."""
