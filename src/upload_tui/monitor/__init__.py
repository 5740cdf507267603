"""Keeps a true picture of projects' uploads and yields what changed; knows no screen."""
