"""What stands for an argument that is not given."""


class NotGiven:
    def __bool__(self):
        return False

    def __repr__(self):
        return "NOT_GIVEN"


class Omit(NotGiven):
    pass


NOT_GIVEN = NotGiven()
not_given = NOT_GIVEN
omit = Omit()


class Timeout:
    """Times that a client is given. The host has its own."""

    def __init__(self, timeout=None, **kwargs):
        self.timeout = timeout
        self.__dict__.update(kwargs)
