"""Samples that stay as they are stored: defects, and what lies outside a lane's levels."""
