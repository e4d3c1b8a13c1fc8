"""The measures of the study of goal formation, one file each."""
