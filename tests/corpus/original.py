"""Serves a flow folder by prompt flow itself, or runs a batch with it: run by compare.py with the Python that has it.

    python original.py serve FOLDER PORT [--connection FILE …]
    python original.py batch FOLDER DATA.jsonl [--mapping INPUT=${data.COLUMN} …]    prints {"metrics": …, "lines": […]}

It serves as `pf flow serve` does, but takes connections from files as they are: prompt flow would keep them in a key
ring, which a machine without a desktop has not.
"""

import argparse
import json
from pathlib import Path


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("does", choices=["serve", "batch"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("what")
    parser.add_argument("--connection", action="append", default=[])
    parser.add_argument("--mapping", action="append", default=[], help="of a batch: INPUT=${data.COLUMN}")
    given = parser.parse_args()
    provide(given.connection)
    if given.does == "serve":
        serve(given.folder, int(given.what))
    else:
        print(json.dumps(batch(given.folder, Path(given.what), given.mapping)))


def provide(files):
    """Makes prompt flow take these connections, wherever it looks for some."""
    from promptflow._sdk._load_functions import load_connection
    from promptflow._sdk.operations._connection_operations import ConnectionOperations
    from promptflow.core._connection_provider._connection_provider import ConnectionProvider
    from promptflow.core._connection_provider._dict_connection_provider import DictConnectionProvider

    connections = {connection.name: connection for connection in map(load_connection, files)}
    provider = DictConnectionProvider(
        {name: connection._to_execution_connection_dict() for name, connection in connections.items()}
    )
    ConnectionProvider.init_from_provider_config = classmethod(lambda cls, *given, **named: provider)
    ConnectionProvider._init_from_env = classmethod(lambda cls, **named: provider)
    # Where a prompty looks.
    ConnectionOperations.get = ConnectionOperations._get = lambda self, name, **named: connections[name]


def serve(folder, port):
    from promptflow._sdk._utilities import serve_utils

    # As `pf flow build` does: what a flow includes, serving the folder itself does not find.
    dag = folder / "flow.dag.yaml"
    whole = serve_utils._resolve_python_flow_additional_includes(dag, folder) if dag.exists() else folder
    serve_utils.start_flow_service(source=whole, host="127.0.0.1", port=port, skip_open_browser=True)


def batch(folder, data, mapping):
    """What the lines gave, and what the aggregation nodes made of them."""
    from promptflow.client import PFClient

    client = PFClient()
    run = client.run(flow=folder, data=data, column_mapping=dict(one.split("=", 1) for one in mapping) or None)
    details = client.get_details(run, all_results=True)
    outputs = [column for column in details.columns if column.startswith("outputs.")]
    lines = [
        {column.partition(".")[2]: line[column] for column in outputs} for line in details.to_dict(orient="records")
    ]
    # Of a line that failed there are no outputs.
    lines = [None if all(value == "(Failed)" for value in line.values()) else line for line in lines]
    return {"metrics": client.get_metrics(run), "lines": lines}


if __name__ == "__main__":
    main()
