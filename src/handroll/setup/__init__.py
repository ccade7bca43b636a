"""What a configuration needs from outside: weights, licences, devices, disk space."""
