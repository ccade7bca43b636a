"""External requirements of a configuration: weights, licences, devices, disk space."""
