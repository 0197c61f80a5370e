"""Sources of live samples: microphone, files, pipes."""
