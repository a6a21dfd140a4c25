"""Thin helpers for the frameworks that a client lives in. Nothing else in the package imports them."""
