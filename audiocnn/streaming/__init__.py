"""Live sound: microphones, sessions and where events go."""
