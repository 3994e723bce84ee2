"""The watch after a deployment: rounds of log rows, tests that stay valid however often one looks, alerts."""
