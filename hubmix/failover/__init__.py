"""Get one whole answer over several routes, or one error with every attempt.

Every failure has a scope, and changing the route only helps outside that scope. `table` says what a failure means,
`decide` what follows from it, `run` keeps the state of one call, and `drivers` waits.
"""

from hubmix.failover.policy import FailoverPolicy
from hubmix.wire.trace import Attempt, Trace

__all__ = ["Attempt", "FailoverPolicy", "Trace"]
