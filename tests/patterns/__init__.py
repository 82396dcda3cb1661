"""Every regular expression of the package, and texts that would show one whose time grows faster than its text."""
