"""The context of an operation: a dictionary of the process, as code of flows uses it."""


class OperationContext(dict):
    _instance = None

    @classmethod
    def get_instance(cls):
        if cls._instance is None:
            cls._instance = cls()
        return cls._instance

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name, value):
        self[name] = value

    def get_context_dict(self):
        return dict(self)

    def get_user_agent(self):
        return "weir"

    def append_user_agent(self, user_agent):
        return None
