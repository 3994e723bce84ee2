"""Cutover's phases and the clients they use."""

import sys

# Invoke switches the cache of compiled modules off for the whole process (`inv --write-pyc` would keep it), which
# would compile us and every library anew at each command: a second of work. What Python itself was told still counts.
sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)
