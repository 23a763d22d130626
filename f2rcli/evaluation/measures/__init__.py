"""Measurements that metrics and reports share."""
