"""When a request may go out, go again, or not at all; never what it says. Clock, sleep and chance come from outside."""
