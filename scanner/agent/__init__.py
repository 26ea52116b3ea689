"""What runs on the target (or on the host against a target's root): standard library only, Python >= 3.6.

It imports nothing else of ours, so that it can travel alone. `__main__` documents what it says.
"""
