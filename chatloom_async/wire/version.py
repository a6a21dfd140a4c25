"""The version of this package and its User-Agent."""

VERSION = "0.1.0"
USER_AGENT = f"chatloom-async/{VERSION}"
