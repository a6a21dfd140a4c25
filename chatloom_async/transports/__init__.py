"""Carriers of requests. Each turns a `Request` into a `Response` and foreign failures into our errors."""
