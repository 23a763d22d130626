"""Light counted one by one: photon statistics, and light that shines in few frames."""
