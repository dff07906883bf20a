"""Training AECR-Net: samples, losses, the loop and what it keeps; `config.read_config` and `run.train` are its ends."""
