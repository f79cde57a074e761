"""What every training run here shares: devices, config checks, atomic files, the Runner."""
