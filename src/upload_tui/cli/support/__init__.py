"""What all commands share: options, settings, access to the service, output and error reporting."""
