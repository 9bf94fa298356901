"""For maintainers: build the notebooks, resolve the locks. No lesson imports it."""
