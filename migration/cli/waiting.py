"""What each verb asks first, in words: on the screen before anything is imported for it, and while it waits."""

from __future__ import annotations

ASKS = {
    "rehearse": "starting a sandbox",
    "sandbox": "starting the stand-ins",
    "secret": "asking the platform and the providers about the secrets",
    "plan": "reading the sources, asking the platform and the git remote",
    "deploy": "reading the sources, asking the platform and the git remote",
    "smoke": "sending the smoke cases",
    "soak": "asking the platform and the provider what a request costs",
    "logs": "asking the platform for log rows",
    "costs": "asking the logs and the provider for what was spent",
    "checks": "asking the logs, the platform and the provider",
    "rollback": "asking the ledger and the platform",
    "status": "asking the platform and the ledger",
    "history": "reading the ledger",
    "unlock": "asking the git remote for the lock",
    "watch": "asking the ledger, the logs and the state of the last round",
    "report": "reading the ledger, the logs and the state of the watch",
    "e2e": "starting the browser",
    "doctor": "asking the platform, the git remote, the providers and the logs",
}
