"""The families of features, one file each; they are imported when the library is first asked for."""
