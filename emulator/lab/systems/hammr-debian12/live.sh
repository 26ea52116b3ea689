# Run by sh as root in the new container, once: nothing here needs more than the image holds.
