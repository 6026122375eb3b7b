//! What the groups of one process get of what they ask.
