"""The app's repository: ledger and lock on its refs, deployments and holds, reverts in a worktree of their own."""
