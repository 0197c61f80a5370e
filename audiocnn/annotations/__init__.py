"""Event files: reading and writing CSV, JSON lines, Parquet, Audacity, Raven, Kaleidoscope."""
