"""The registers in which packages of tools enter what they have. Nothing here reads them."""

builtins = {}
apis = {}
connections = {}
connection_type_to_api_mapping = {}


def register_builtins(provider_cls):
    builtins[provider_cls.__name__] = provider_cls


def register_apis(provider_cls):
    apis[provider_cls.__name__] = provider_cls


def register_builtin_method(provider_method):
    builtins[provider_method.__qualname__] = provider_method


def register_api_method(provider_method):
    apis[provider_method.__qualname__] = provider_method


def register_connections(connection_classes):
    classes = connection_classes if isinstance(connection_classes, list) else [connection_classes]
    connections.update({kind.__name__: kind for kind in classes})
