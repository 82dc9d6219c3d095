"""Stands in for Python's wget: nothing is downloaded."""


def download(url, out=None):
    raise RuntimeError("nothing is downloaded here: %s" % url)
