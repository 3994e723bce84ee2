"""From the plan to live code, and back to what was live when the gate fails."""
