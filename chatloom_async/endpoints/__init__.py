"""One file a resource of the API: its models and its endpoints, together."""
