"""From labelled sounds to a model: cache, augmentation, fitting, calibration."""
