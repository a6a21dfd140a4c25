"""Whether the API still does what its documentation says.

Written from the documentation, not from the client's models.
"""
