"""What is wrong with data before an hour is spent on them, and which rows are held out."""
