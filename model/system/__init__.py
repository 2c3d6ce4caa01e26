"""What has nothing to do with pictures: files replaced whole, paths, the cache, downloads, processes, the terminal.

Each file is a small tool of its own and is imported by its name; none knows any other room."""
