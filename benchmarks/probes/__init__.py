"""Measurements of single properties. Each function runs in a fresh process and returns numbers by name and unit."""
