"""Thin helpers for web frameworks, OpenTelemetry and Redis. No other module of the package imports them."""
