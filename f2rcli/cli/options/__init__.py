"""The options of commands and their first check, without torch."""
