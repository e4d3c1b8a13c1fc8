"""Goal formation: when does the inside of a network show what it will pursue, and when does its behaviour?"""
