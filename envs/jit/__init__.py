"""Compilation helpers that know nothing of mazes: decorators, counter-based random numbers, LLVM intrinsics."""
