"""What the parts that a request passes tell each other about it: keys of its state."""

ASKING = "forgelet_user"
"""The login of who asks."""
LASTS = "forgelet_lasts"
"""Whether the answer holds until something is written in the tables."""
SENT = "forgelet_sent"
"""The request's body, watched."""
