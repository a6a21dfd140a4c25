"""`python -m chatloom_async` is the program `chatloom`."""

from .cli import program

program()
