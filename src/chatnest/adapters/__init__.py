"""What stands at the edges, each family behind its port of :mod:`chatnest.domain.ports`."""
