"""Files of other signals: tables, `.ts` archives, channels, time axis, missing values."""
