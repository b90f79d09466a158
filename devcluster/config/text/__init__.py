"""What is written in one value, wherever that is: ${VAR}, a line of .env, a pattern of paths, a duration."""
