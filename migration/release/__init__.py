"""The road to the platform: stage, activate, settle, record, recover, end."""
