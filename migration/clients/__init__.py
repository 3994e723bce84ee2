"""One client a service: verbs in, frozen answers out, failures in our words."""

import importlib.util
import sys

# What is None here fails to import at once. httpx then goes without its command line, which would bring click, rich
# and pygments; and httpcore, which looks for sniffio at each step of each request, does not search the disk for it.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
if importlib.util.find_spec("sniffio") is None:
    sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]
