"""How labelled pictures lie on disk: folders, lists, archives, and ways of single sets."""
