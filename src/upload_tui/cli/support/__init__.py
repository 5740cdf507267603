"""What commands share besides access to the service: options, settings, output, error reporting and what a dashboard needs."""
