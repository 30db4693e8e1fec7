"""The table engine: files in, tables and facts about them out. It knows local paths and plain values only."""
