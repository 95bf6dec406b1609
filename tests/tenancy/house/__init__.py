"""Tables for testing the kernel by itself: rooms and the chairs in them. They exist only while a test module asks."""
