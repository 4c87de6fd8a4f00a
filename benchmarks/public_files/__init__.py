"""Files in public formats, written from networks of ours: for tests and for the rehearsal of the papers' scale."""
