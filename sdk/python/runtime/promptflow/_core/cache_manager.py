"""Caching of tools, which prompt flow accepts and never does."""


def enable_cache(calculate_cache_func):
    def decorate(function):
        function.enable_cache = True
        function.calculate_cache_func = calculate_cache_func
        return function

    return decorate
