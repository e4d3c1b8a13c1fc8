"""`goalmaze audit --sleepers`: which agents show another goal when nobody looks?"""
