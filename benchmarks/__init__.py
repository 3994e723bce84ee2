"""Each benchmark runs alone: `python -m benchmarks.NAME`."""

import os
import tempfile
from pathlib import Path

# A machine that forbids bytecode would have every process that is measured compile all its modules again.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
    os.environ["PYTHONPYCACHEPREFIX"] = str(Path(tempfile.gettempdir()) / f"cutover-bytecode-{os.getuid()}")
