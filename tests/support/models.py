"""The models of AWS's services, parsed once in a process and not again for each session."""

import functools

import botocore.loaders
import botocore.session


def share_models():
    """Let all sessions of this process, and of those forked from it, share what they have read.

    botocore keeps it for the clients of one session. To read it takes most of the time that a
    client takes to make.
    """
    create = botocore.loaders.create_loader
    kept = functools.cache(lambda _path: {})

    def create_loader(search_path_string=None):
        loader = create(search_path_string)
        loader._cache = kept(search_path_string)
        return loader

    botocore.session.create_loader = create_loader
