"""The API's endpoints: one file for each resource, with its models and endpoint classes."""
