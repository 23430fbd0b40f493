"""A pool of threads that keeps the context. Here work is done as it is handed in: see weir_python/threads.py."""

from concurrent.futures import ThreadPoolExecutor


class ThreadPoolExecutorWithContext(ThreadPoolExecutor):
    pass
