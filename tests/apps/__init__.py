"""A small application for tests (Go, static, ``FROM scratch``) and how its image is made."""
