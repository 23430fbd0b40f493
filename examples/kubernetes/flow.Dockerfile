# A flow inside of an image: its files, its components, and their machine code, so that a pod starts in milliseconds and
# fetches nothing. From the folder that has the flow, here `basic_chat`:
#
#   weir build basic_chat                       # if it has nodes of its own
#   docker build -f flow.Dockerfile --build-arg FLOW=basic_chat -t registry.example.com/basic-chat:1 .
#
# Machine code is for the kind of processor that made it. Build on the kind of machine that serves, or pods compile anew: then
# `weir_compile_cache_lookup_total{result="miss"}` is not 0.
ARG WEIR=registry.example.com/weir:0.1.0
FROM ${WEIR}
ARG FLOW
# The folder's name is the `flow` of every metric.
WORKDIR /flows/${FLOW}
COPY ${FLOW} .
# Loads every component, and so compiles those that are not in /var/cache/weir yet. There is no shell: this runs the program
# itself, as the user who will serve, since it trusts no cache but its own.
RUN ["/weir", "check", "."]
CMD ["serve", "."]
