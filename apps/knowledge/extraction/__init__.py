"""Text out of untrusted files: always in a child process that may do nothing else.

`runner.extract` starts the child (`child.py`), watches its time and memory, and returns `Extracted` or raises
`ExtractionFailed` with one of the reasons in `failures.py`. Nothing here imports Django: the child must start fast.
"""
