"""The same five operations, written as each stack's own community would write them. See `contract`."""
