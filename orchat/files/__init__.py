"""Files of the machine: regular files of bounded size are read, and files are replaced whole or not at all."""

from orchat.files.atomic_file import replace_file, sync_folder
from orchat.files.regular_file import MOST_BYTES, open_regular_file, read_regular_file, shortened_path

__all__ = ["MOST_BYTES", "open_regular_file", "read_regular_file", "replace_file", "shortened_path", "sync_folder"]
