"""One client a service: verbs in, frozen answers out, failures in our words."""
