"""Adapters to the libraries and tools that people use.

Each module is named after the library it is for, imports it, and is imported by nobody else in the package: a program
that does not use the library does not need it.
"""
