"""The Azure workspace of a developer's machine, of which a node knows nothing."""


def get_workspace_triad_from_local():
    return None, None, None
