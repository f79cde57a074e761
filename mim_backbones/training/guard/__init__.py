"""Every training stays finite: it goes back once, then stops and names what broke."""
