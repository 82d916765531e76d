"""Starting, watching and stopping training jobs, each a process of its own that outlives the page and the server."""
