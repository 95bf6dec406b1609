"""The pages of a creator. Each is rendered whole, or as the part that htmx and the script ask for."""
