"""What a cell sends: a prompt in prose, with variables and files in their places."""
