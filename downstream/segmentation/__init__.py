"""UperNet on ADE20K-style label maps."""
