"""When a request may go out, go again, or not at all. Never what it says. No I/O: clock, sleep and chance come from outside."""
