"""What a corpus holds, in a page and a table: before anybody trains on it."""
