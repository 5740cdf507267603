"""What the commands that show the dashboard share: the terminal, preferences, saved choices, the last visit."""
