"""What has nothing to do with pictures: atomic files, paths, the cache, downloads, processes, the terminal.

Each file is a small tool of its own, imported by its name. None may know any other room."""
