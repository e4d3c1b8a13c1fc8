"""Methods that explain decisions, one file each; they are imported when a method is first looked up."""
