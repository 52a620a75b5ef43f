"""What happens to files, told as it happens."""
