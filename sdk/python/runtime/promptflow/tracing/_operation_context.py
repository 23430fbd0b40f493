"""The context of an operation: a dictionary of the process, as code of flows uses it."""


class OperationContext(dict):
    _instance = None

    @classmethod
    def get_instance(cls):
        if cls._instance is None:
            cls._instance = cls()
        return cls._instance

    @classmethod
    def begin(cls):
        """Forgets what an earlier run has said."""
        cls._instance = None

    def __missing__(self, key):
        """What prompt flow itself says of a run."""
        from weir_python import host

        known = {"flow-id": "flow", "flow_id": "flow", "root-run-id": "request_id", "root_run_id": "request_id"}
        if key not in known:
            raise KeyError(key)
        return getattr(host.invocation(), known[key])

    def __contains__(self, key):
        return dict.__contains__(self, key) or key in ("flow-id", "flow_id", "root-run-id", "root_run_id")

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
