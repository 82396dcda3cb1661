"""The common floor of the magic and the panel: everything that both need in the kernel's process."""
