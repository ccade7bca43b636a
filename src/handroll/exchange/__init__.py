"""Import and export of formats of other projects."""
