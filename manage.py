#!/usr/bin/env python
"""Django's command line for the hub."""

import sys

from shared.config.env_constants import use_settings

if __name__ == "__main__":
    use_settings()
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
