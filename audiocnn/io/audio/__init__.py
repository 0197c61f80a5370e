"""Sound files: decoding, mixing, resampling, blocks and excerpts."""
