"""The papers, each a folder with its targets, tables, figures and claims; nothing imports them."""
