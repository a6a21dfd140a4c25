"""The version of this package, and the name it goes by on the wire."""

VERSION = "0.1.0"
USER_AGENT = f"chatloom-async/{VERSION}"
