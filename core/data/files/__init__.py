"""Files of an upload or a folder as one tree of names: archives read safely, pictures opened safely."""
