"""The application: configuration, wiring, HTTP and the command line around the core."""
