"""Front ends: samples to frames, streamed."""
