"""What a call costs: this client, other SDKs and bare HTTP clients against one static server on this machine.

`python -m benchmarks` measures, prints tables and writes results.json; `--table` renders that file as Markdown.
What is measured is the CPU time of the client's process, in fresh processes, shuffled, with one client measured
twice: the difference between those two is the noise, and smaller differences are not claims.
"""
