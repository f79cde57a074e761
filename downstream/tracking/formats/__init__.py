"""Result files of the tracking community, read and written."""
