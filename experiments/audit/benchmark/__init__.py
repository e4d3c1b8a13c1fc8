"""The registered benchmark of audits: every method on populations whose preferences are measured."""
